"""install.py as the webui runs it: in a subprocess, with a fake pip that records its arguments."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sadtalker_ext.faces.private_packages import PRIVATE_FOLDER, has_face_models

ROOT = Path(__file__).parents[2]
FAKE_PIP = """
import json, os, pathlib, sys
arguments = sys.argv[1:]
constraints = ""
if "--constraint" in arguments:
    constraints = pathlib.Path(arguments[arguments.index("--constraint") + 1]).read_text("utf-8")
with open(os.environ["PIP_CALLS"], "a") as calls:
    calls.write(json.dumps({"arguments": arguments, "constraints": constraints.split()}) + "\\n")
if os.environ.get("PIP_FAILS"):
    sys.stderr.write("WARNING: slow\\nERROR: Cannot install mediapipe because these versions conflict\\nmore\\n")
    sys.exit(1)
if "--target" in arguments:
    pathlib.Path(arguments[arguments.index("--target") + 1], "mediapipe", "python", "solutions").mkdir(parents=True)
"""


NEWER = "mediapipe>=0.10.13,<0.10.22"


class Host:
    """Runs install.py with a fake set of installed packages, first on its path."""

    def __init__(self, folder):
        self.folder, self.calls_file = folder, folder / "calls.jsonl"
        package = folder / "site" / "pip"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(FAKE_PIP)

    def add_package(self, name, version, with_faces=False):
        info = self.folder / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        module = self.folder / "site" / name.replace("-", "_")
        module.mkdir()
        (module / "__init__.py").touch()
        if with_faces:
            (module / "python" / "solutions").mkdir(parents=True)

    def run(self, script=ROOT / "install.py", arguments=(), **environment):
        clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.folder / "site"), "PIP_CALLS": str(self.calls_file)}
        # -S excludes the packages of this environment, so only the fake ones are installed.
        command = [sys.executable, "-S", str(script), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env={**clean, **environment}, check=False, cwd=self.folder
        )

    def pip_calls(self):
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def host(tmp_path):
    """A webui with four packages; pip, a subprocess without -S, sees the packages of this environment too."""
    made = Host(tmp_path)
    for name, version in (("torch", "2.1.2+cu121"), ("numpy", "1.26.2"), ("protobuf", "3.20.0"), ("gradio", "3.41.2")):
        made.add_package(name, version)
    return made


def test_one_call_of_pip_pins_every_installed_package(host):
    run = host.run()
    assert (run.returncode, run.stderr) == (0, "")
    (call,) = host.pip_calls()
    assert call["arguments"][-2] == "imageio-ffmpeg"
    assert call["arguments"][-1] == ("mediapipe==0.10.9" if sys.version_info < (3, 12) else NEWER)
    assert {"torch==2.1.2+cu121", "numpy==1.26.2", "protobuf==3.20.0", "gradio==3.41.2"} <= set(call["constraints"])
    assert not {"--upgrade", "-U", "--force-reinstall", "--ignore-installed"} & set(call["arguments"])
    named = " ".join(call["arguments"])
    assert not any(name in named for name in ("torch", "numpy", "gradio", "protobuf"))


def test_a_newer_protobuf_gets_a_newer_mediapipe(host):
    host.add_package("a_package", "1.0")
    (host.folder / "site" / "protobuf-3.20.0.dist-info" / "METADATA").write_text("Name: protobuf\nVersion: 4.25.8\n")
    host.run()
    assert host.pip_calls()[0]["arguments"][-1] == NEWER


def test_only_missing_packages_are_requested(host):
    host.add_package("mediapipe", "0.10.5", with_faces=True)
    host.run()
    (call,) = host.pip_calls()
    assert call["arguments"][-1] == "imageio-ffmpeg"
    assert "mediapipe==0.10.5" in call["constraints"]


@pytest.fixture
def copied(tmp_path):
    """A copy of install.py in a writable folder."""
    (tmp_path / "extension").mkdir()
    return Path(shutil.copy(ROOT / "install.py", tmp_path / "extension"))


@pytest.mark.parametrize("package", [("mediapipe", "1.2.3"), ("protobuf", "7.36.0")])
def test_a_conflicting_mediapipe_is_installed_in_a_private_folder(host, copied, package):
    """The host's MediaPipe has no face models, or its protobuf supports none that has; the host's packages stay."""
    host.add_package("imageio-ffmpeg", "0.6.0")
    if package[0] == "protobuf":
        info = host.folder / "site" / "protobuf-3.20.0.dist-info"
        (info / "METADATA").write_text("Name: protobuf\nVersion: 7.36.0\n")
    else:
        host.add_package(*package)
    assert host.run(copied).returncode == 0
    (call,) = host.pip_calls()
    expected = "mediapipe==0.10.9" if sys.version_info < (3, 12) else NEWER
    assert call["arguments"][-4:] == [expected, "absl-py", "flatbuffers", "attrs"]
    assert "--no-deps" in call["arguments"]
    assert sorted(path.name for path in copied.parent.iterdir()) == ["install.py", PRIVATE_FOLDER.name]
    assert has_face_models(copied.parent / PRIVATE_FOLDER.name / "mediapipe")
    assert (host.run(copied).stdout, len(host.pip_calls())) == ("", 1)


def test_a_failure_leaves_no_private_folder(host, copied):
    host.add_package("imageio-ffmpeg", "0.6.0")
    host.add_package("mediapipe", "1.2.3")
    assert "could not be installed" in host.run(copied, PIP_FAILS="1").stdout
    assert [path.name for path in copied.parent.iterdir()] == ["install.py"]


RECORDED_RUN = """
import runpy, sys
events = []
quiet = ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec", "os.system", "socket.connect")
sys.addaudithook(lambda event, _: events.append(event) if event in quiet else None)
before = set(sys.modules)
runpy.run_path(sys.argv[1], run_name="__main__")
print(*events, len(set(sys.modules) - before))
"""


def test_a_start_with_nothing_missing_is_fast_and_silent(host):
    """No process, no connection, and few imported modules, which take most of the time."""
    host.add_package("mediapipe", "0.10.9", with_faces=True)
    host.add_package("imageio-ffmpeg", "0.6.0")
    run = host.run()
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert host.pip_calls() == []
    script = host.folder / "record.py"
    script.write_text(RECORDED_RUN)
    (modules,) = host.run(script, arguments=[str(ROOT / "install.py")]).stdout.split()
    assert int(modules) < 60


@pytest.mark.parametrize("flags", ["--skip-install", "--api --skip-install", "--skip-prepare-environment"])
def test_skip_flags_are_respected(host, flags):
    run = host.run(COMMANDLINE_ARGS=flags)
    assert (run.returncode, run.stdout, host.pip_calls()) == (0, "", [])


def test_other_flags_do_not_skip(host):
    host.run(COMMANDLINE_ARGS='--api --data-dir "/a b/--skip-install-not" --skip-installs')
    assert len(host.pip_calls()) == 1


def test_a_failure_is_one_clear_line(host):
    run = host.run(PIP_FAILS="1")
    assert (run.returncode, run.stderr) == (0, "")
    last = run.stdout.splitlines()[-1]
    assert "could not be installed (ERROR: Cannot install mediapipe because these versions conflict)" in last


def test_broken_packages_are_no_constraints(host):
    host.add_package("good", "1.0")
    host.add_package("odd", "not a version")
    (host.folder / "site" / "empty-1.0.dist-info").mkdir()
    assert host.run().returncode == 0
    (call,) = host.pip_calls()
    assert "good==1.0" in call["constraints"]
    assert not any(line.startswith(("odd", "empty")) for line in call["constraints"])


def test_works_from_any_folder_through_a_link(host, tmp_path):
    folder = tmp_path / "a folder 説話"
    folder.symlink_to(ROOT, target_is_directory=True)
    assert host.run(folder / "install.py").returncode == 0
    assert len(host.pip_calls()) == 1


def test_every_package_of_this_environment_is_pinned():
    """Uses the metadata of a real environment; every package occurs once."""
    command = [sys.executable, "-c", "import install; print('\\n'.join(install.constraints()))"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    pinned = dict(line.split("==") for line in lines)
    assert len(pinned) == len(lines)
    for name in ("numpy", "torch", "pytest"):
        assert pinned[name] == importlib.metadata.version(name)


def test_imports_only_the_standard_library():
    command = [sys.executable, "-S", "-c", "import install, sys; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    tops = {name.split(".")[0] for name in loaded} - {"install", "__main__"}
    assert tops <= set(sys.stdlib_module_names) | {"__mp_main__"}
