"""install.py as the webui runs it: in a process of its own, with a pip that only notes what it was asked."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sadtalker_ext.faces.private_packages import APART, has_face_models

ROOT = Path(__file__).parents[2]
FAKE_PIP = """
import json, os, pathlib, sys
arguments = sys.argv[1:]
held = ""
if "--constraint" in arguments:
    held = pathlib.Path(arguments[arguments.index("--constraint") + 1]).read_text("utf-8")
with open(os.environ["PIP_NOTES"], "a") as notes:
    notes.write(json.dumps({"arguments": arguments, "held": held.split()}) + "\\n")
if os.environ.get("PIP_FAILS"):
    sys.stderr.write("WARNING: slow\\nERROR: Cannot install mediapipe because these versions conflict\\nmore\\n")
    sys.exit(1)
if "--target" in arguments:
    pathlib.Path(arguments[arguments.index("--target") + 1], "mediapipe", "python", "solutions").mkdir(parents=True)
"""


NEWER = "mediapipe>=0.10.13,<0.10.22"


class Host:
    """Runs install.py with a made-up set of installed packages, first on its path."""

    def __init__(self, folder):
        self.folder, self.notes = folder, folder / "notes.jsonl"
        package = folder / "site" / "pip"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(FAKE_PIP)

    def has(self, name, version, with_faces=False):
        info = self.folder / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        module = self.folder / "site" / name.replace("-", "_")
        module.mkdir()
        (module / "__init__.py").touch()
        if with_faces:
            (module / "python" / "solutions").mkdir(parents=True)

    def run(self, script=ROOT / "install.py", arguments=(), **environment):
        clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.folder / "site"), "PIP_NOTES": str(self.notes)}
        # -S leaves out the packages of this environment: the made-up ones are all there are.
        command = [sys.executable, "-S", str(script), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env={**clean, **environment}, check=False, cwd=self.folder
        )

    def asked(self):
        return [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []


@pytest.fixture
def host(tmp_path):
    """pip's child sees the made-up packages too: -S is not handed on, so the notes tell what it was asked."""
    made = Host(tmp_path)
    for name, version in (("torch", "2.1.2+cu121"), ("numpy", "1.26.2"), ("protobuf", "3.20.0"), ("gradio", "3.41.2")):
        made.has(name, version)
    return made


def test_one_call_of_pip_holds_everything_that_is_there(host):
    run = host.run()
    assert (run.returncode, run.stderr) == (0, "")
    (call,) = host.asked()
    assert call["arguments"][-2] == "imageio-ffmpeg"
    assert call["arguments"][-1] == ("mediapipe==0.10.9" if sys.version_info < (3, 12) else NEWER)
    assert {"torch==2.1.2+cu121", "numpy==1.26.2", "protobuf==3.20.0", "gradio==3.41.2"} <= set(call["held"])
    assert not {"--upgrade", "-U", "--force-reinstall", "--ignore-installed"} & set(call["arguments"])
    named = " ".join(call["arguments"])
    assert not any(name in named for name in ("torch", "numpy", "gradio", "protobuf"))


def test_a_newer_protobuf_gets_a_newer_mediapipe(host):
    host.has("a_package", "1.0")
    (host.folder / "site" / "protobuf-3.20.0.dist-info" / "METADATA").write_text("Name: protobuf\nVersion: 4.25.8\n")
    host.run()
    assert host.asked()[0]["arguments"][-1] == NEWER


def test_only_what_is_missing_is_asked_for(host):
    host.has("mediapipe", "0.10.5", with_faces=True)
    host.run()
    (call,) = host.asked()
    assert call["arguments"][-1] == "imageio-ffmpeg"
    assert "mediapipe==0.10.5" in call["held"]


@pytest.fixture
def copied(tmp_path):
    """install.py in a folder of its own, beside which it may put things."""
    (tmp_path / "extension").mkdir()
    return Path(shutil.copy(ROOT / "install.py", tmp_path / "extension"))


@pytest.mark.parametrize("given", [("mediapipe", "1.2.3"), ("protobuf", "7.36.0")])
def test_a_mediapipe_that_cannot_stand_among_the_hosts_packages_stands_apart(host, copied, given):
    """One without face models, or a protobuf that allows none that has them: the host keeps what it has."""
    host.has("imageio-ffmpeg", "0.6.0")
    if given[0] == "protobuf":
        info = host.folder / "site" / "protobuf-3.20.0.dist-info"
        (info / "METADATA").write_text("Name: protobuf\nVersion: 7.36.0\n")
    else:
        host.has(*given)
    assert host.run(copied).returncode == 0
    (call,) = host.asked()
    wanted = "mediapipe==0.10.9" if sys.version_info < (3, 12) else NEWER
    assert call["arguments"][-4:] == [wanted, "absl-py", "flatbuffers", "attrs"]
    assert "--no-deps" in call["arguments"]
    assert sorted(path.name for path in copied.parent.iterdir()) == ["install.py", APART.name]
    assert has_face_models(copied.parent / APART.name / "mediapipe")
    assert (host.run(copied).stdout, len(host.asked())) == ("", 1)


def test_a_failure_leaves_nothing_apart(host, copied):
    host.has("imageio-ffmpeg", "0.6.0")
    host.has("mediapipe", "1.2.3")
    assert "could not be installed" in host.run(copied, PIP_FAILS="1").stdout
    assert [path.name for path in copied.parent.iterdir()] == ["install.py"]


NOTED = """
import runpy, sys
events = []
quiet = ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec", "os.system", "socket.connect")
sys.addaudithook(lambda event, _: events.append(event) if event in quiet else None)
before = set(sys.modules)
runpy.run_path(sys.argv[1], run_name="__main__")
print(*events, len(set(sys.modules) - before))
"""


def test_nothing_to_do_is_little_work_and_silent(host):
    """No process, no connection, and few modules, which is what the time is spent on."""
    host.has("mediapipe", "0.10.9", with_faces=True)
    host.has("imageio-ffmpeg", "0.6.0")
    run = host.run()
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert host.asked() == []
    noting = host.folder / "noting.py"
    noting.write_text(NOTED)
    (modules,) = host.run(noting, arguments=[str(ROOT / "install.py")]).stdout.split()
    assert int(modules) < 60


@pytest.mark.parametrize("flags", ["--skip-install", "--api --skip-install", "--skip-prepare-environment"])
def test_skipping_is_obeyed(host, flags):
    run = host.run(COMMANDLINE_ARGS=flags)
    assert (run.returncode, run.stdout, host.asked()) == (0, "", [])


def test_other_flags_do_not_skip(host):
    host.run(COMMANDLINE_ARGS='--api --data-dir "/a b/--skip-install-not" --skip-installs')
    assert len(host.asked()) == 1


def test_a_failure_is_one_clear_line(host):
    run = host.run(PIP_FAILS="1")
    assert (run.returncode, run.stderr) == (0, "")
    last = run.stdout.splitlines()[-1]
    assert "could not be installed (ERROR: Cannot install mediapipe because these versions conflict)" in last


def test_broken_packages_do_not_end_up_as_constraints(host):
    host.has("good", "1.0")
    host.has("odd", "not a version")
    (host.folder / "site" / "empty-1.0.dist-info").mkdir()
    assert host.run().returncode == 0
    (call,) = host.asked()
    assert "good==1.0" in call["held"]
    assert not any(line.startswith(("odd", "empty")) for line in call["held"])


def test_works_from_any_folder_through_a_link(host, tmp_path):
    folder = tmp_path / "a folder 説話"
    folder.symlink_to(ROOT, target_is_directory=True)
    assert host.run(folder / "install.py").returncode == 0
    assert len(host.asked()) == 1


def test_every_package_of_this_environment_is_held_as_pip_knows_it():
    """The real metadata of a real environment: names and versions as installed, each once."""
    command = [sys.executable, "-c", "import install; print('\\n'.join(install.constraints()))"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    held = dict(line.split("==") for line in lines)
    assert len(held) == len(lines)
    for name in ("numpy", "torch", "pytest"):
        assert held[name] == importlib.metadata.version(name)


def test_imports_only_the_standard_library():
    command = [sys.executable, "-S", "-c", "import install, sys; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    tops = {name.split(".")[0] for name in loaded} - {"install", "__main__"}
    assert tops <= set(sys.stdlib_module_names) | {"__mp_main__"}
