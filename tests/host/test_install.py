"""install.py as the webui runs it: in a subprocess, with a fake pip that records its arguments."""

import importlib.metadata
import subprocess
import sys

import pytest
from fake_environment import HAS_ALL, ROOT, FakeEnvironment

NO_WHEEL = "ERROR: Could not find a version that satisfies\nERROR: No matching distribution found for scikit-image\n"


@pytest.fixture
def host(tmp_path):
    """A webui with four packages; pip, a subprocess without -S, finds the packages of this environment too."""
    made = FakeEnvironment(tmp_path)
    for name, version in (("torch", "2.1.2+cu121"), ("numpy", "1.26.2"), ("protobuf", "3.20.0"), ("gradio", "3.41.2")):
        made.add_package(name, version)
    return made


def test_each_call_of_pip_pins_every_installed_package(host):
    run = host.run()
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "SadTalker: installing imageio-ffmpeg\nSadTalker: installing scikit-image\n"
    assert host.requested() == ["imageio-ffmpeg", "scikit-image"]
    for call in host.calls():
        pins = {"torch==2.1.2+cu121", "numpy==1.26.2", "protobuf==3.20.0", "gradio==3.41.2"}
        assert pins <= set(call["constraints"])
        assert not {"--upgrade", "-U", "--force-reinstall", "--ignore-installed"} & set(call["arguments"])
        named = " ".join(call["arguments"])
        assert not any(name in named for name in ("torch", "numpy", "gradio", "protobuf"))
    assert (host.run().stdout, len(host.calls())) == ("", 2)


def test_only_missing_packages_are_requested(host):
    host.add_package("skimage", "0.21.0")
    host.run()
    assert host.requested() == ["imageio-ffmpeg"]
    assert "skimage==0.21.0" in host.calls()[0]["constraints"]


@pytest.mark.parametrize("impossible", ["imageio-ffmpeg", "scikit-image"])
def test_a_package_that_cannot_be_installed_does_not_stop_the_other(host, impossible):
    run = host.run(fails={impossible: NO_WHEEL})
    assert run.returncode == 0
    assert host.requested() == ["imageio-ffmpeg", "scikit-image"]
    (line,) = [line for line in run.stdout.splitlines() if "is not installed" in line]
    assert f"{impossible}, which " in line


def test_a_virtual_environment_without_pip_uses_uv(host):
    host.use_uv()
    assert host.run().returncode == 0
    (first, second) = host.calls()
    assert first["program"] == second["program"] == "uv"
    assert first["arguments"][:4] == ["pip", "install", "--python", host.python]
    assert "numpy==1.26.2" in first["constraints"]
    assert host.requested() == ["imageio-ffmpeg", "scikit-image"]


def test_old_private_packages_are_removed(host):
    for name in ("packages-apart", "packages-apart.part"):
        (host.extension / name / "mediapipe").mkdir(parents=True)
    for name, version in HAS_ALL:
        host.add_package(name, version)
    assert host.run().stdout == ""
    assert [path.name for path in host.extension.iterdir()] == ["install.py"]


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
    for name, version in HAS_ALL:
        host.add_package(name, version)
    run = host.run()
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert host.calls() == []
    script = host.folder / "record.py"
    script.write_text(RECORDED_RUN)
    (modules,) = host.run(script, arguments=[str(host.script)]).stdout.split()
    assert int(modules) < 60


@pytest.mark.parametrize("flags", ["--skip-install", "--api --skip-install", "--skip-prepare-environment"])
def test_skip_flags_are_respected(host, flags):
    run = host.run(COMMANDLINE_ARGS=flags)
    assert (run.returncode, run.stdout, host.calls()) == (0, "", [])


def test_other_flags_do_not_skip(host):
    host.run(COMMANDLINE_ARGS='--api --data-dir "/a b/--skip-install-not" --skip-installs')
    assert len(host.calls()) == 2


def test_broken_packages_are_no_constraints(host):
    """Pip and uv refuse a constraints file as a whole if one line has an invalid version."""
    valid = ("1.0", "2.1.2+cu121", "69.5.1", "1.0rc1", "1!2.0.post3.dev4", "2026.10.19.post1", "0.0.1-2", "1.0a")
    for index, version in enumerate(valid):
        host.add_package(f"good{index}", version)
    for index, version in enumerate(("not a version", "1.0_unknown+", "0.1-custom", "1.x")):
        host.add_package(f"odd{index}", version)
    (host.site / "empty-1.0.dist-info").mkdir()
    assert host.run().returncode == 0
    lines = host.calls()[0]["constraints"]
    assert [line for line in lines if line.startswith("good")] == [
        f"good{index}=={version}" for index, version in enumerate(valid)
    ]
    assert not any(line.startswith(("odd", "empty")) for line in lines)


def test_works_from_any_folder_through_a_link(host, tmp_path):
    folder = tmp_path / "a folder 説話"
    folder.symlink_to(host.extension, target_is_directory=True)
    assert host.run(folder / "install.py").returncode == 0
    assert len(host.calls()) == 2


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
