"""A fake set of installed packages and a fake pip and uv that record their arguments, to run install.py with."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAKE_PIP = """
import json, os, pathlib, sys
arguments = sys.argv[1:]
constraints = pathlib.Path(arguments[arguments.index("--constraint") + 1]).read_text("utf-8")
with open(os.environ["PIP_CALLS"], "a") as calls:
    calls.write(json.dumps({"program": PROGRAM, "arguments": arguments, "constraints": constraints.split()}) + "\\n")
failures = json.loads(os.environ.get("PIP_FAILS", "{}"))
if arguments[-1] in failures:
    sys.stderr.write(failures[arguments[-1]])
    sys.exit(1)
package = pathlib.Path(os.environ["SITE"], arguments[-1].replace("scikit-image", "skimage").replace("-", "_"))
package.mkdir()
(package / "__init__.py").touch()
"""
HAS_ALL = (("imageio_ffmpeg", "0.6.0"), ("skimage", "0.25.2"))


class FakeEnvironment:
    """Runs a copy of install.py with a fake set of installed packages, first on its path."""

    def __init__(self, folder):
        self.folder, self.calls_file = folder, folder / "calls.jsonl"
        self.site = folder / "site"
        self.extension = folder / "extension"
        self.extension.mkdir()
        self.script = Path(shutil.copy(ROOT / "install.py", self.extension))
        self.python = sys.executable
        package = self.site / "pip"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(f"PROGRAM = 'pip'\n{FAKE_PIP}")

    @property
    def record(self):
        return self.extension / "install-failed.json"

    def use_uv(self):
        """Replace pip by uv, as in a virtual environment that uv made."""
        venv.create(self.folder / "venv", with_pip=False)
        self.python = str(self.folder / "venv" / "bin" / "python")
        shutil.rmtree(self.site / "pip")
        program = self.folder / "bin" / "uv"
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable}\nPROGRAM = 'uv'\n{FAKE_PIP}")
        program.chmod(0o755)

    def add_package(self, name, version):
        info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        module = self.site / name.replace("-", "_")
        module.mkdir()
        (module / "__init__.py").touch()

    def run(self, script=None, arguments=(), fails=None, **environment):
        """Run install.py; ``fails``: error outputs of pip by package."""
        clean = {
            "PATH": str(self.folder / "bin"), "PYTHONPATH": str(self.site), "SITE": str(self.site),
            "PIP_CALLS": str(self.calls_file), "PIP_FAILS": json.dumps(fails or {}),
        }  # fmt: skip
        # -S excludes the packages of this environment, so only the fake ones are installed; a new one has none.
        own = ["-S"] if self.python == sys.executable else []
        command = [self.python, *own, str(script or self.script), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env={**clean, **environment}, check=False, cwd=self.folder
        )

    def calls(self):
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [json.loads(line) for line in lines]

    def requested(self):
        """Return the packages that were requested so far."""
        return [call["arguments"][-1] for call in self.calls()]
