"""Failures of install.py: each message fits the situation, and a package that failed is not requested twice."""

import json
import os
import sys
import time

import pytest
from fake_environment import HAS_ALL, FakeEnvironment

NO_WHEEL = (
    "ERROR: Ignored the following versions: 1.0\n"
    "ERROR: Could not find a version that satisfies the requirement\n"
    "ERROR: No matching distribution found\n"
)
OFFLINE = (
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Failed to establish a new "
    "connection: [Errno -3] Temporary failure in name resolution')'\n" + NO_WHEEL
)
ENVIRONMENT = "error: externally-managed-environment\n\n× This environment is externally managed\n"
CONFLICT = (
    "ERROR: Cannot install scikit-image because these package versions have conflicting dependencies.\n"
    "Additionally, some packages in these conflicts have no matching distributions available\n"
    "ERROR: ResolutionImpossible: for help visit\n"
)
UV_NO_WHEEL = (
    "  × No solution found when resolving dependencies:\n"
    "  ╰─▶ Because scikit-image has no wheels with a matching Python version tag (e.g., `cp313`) and you require\n"
    "      scikit-image, we can conclude that your requirements are unsatisfiable.\n"
)
UV_CONFLICT = "  × No solution found\n  ╰─▶ we can conclude that your requirements are unsatisfiable.\n"
UV_OFFLINE = "error: Failed to fetch: `https://example.org/simple/`\n  Caused by: dns error: failed to lookup address\n"
BUILD = (
    "  error: subprocess-exited-with-error\n\n  × python setup.py bdist_wheel did not run successfully.\n"
    "  │ exit code: 1\n  ╰─> [7 lines of output]\n      RuntimeError: no compiler\n      [end of output]\n\n"
    "  note: This error originates from a subprocess, and is likely not a problem with pip.\n"
    "  ERROR: Failed building wheel for scikit-image\nERROR: Failed to build installable wheels\n"
)
UV_BUILD = "error: Failed to build `scikit-image==0.26.0`\n  cause: The build backend returned an error\n"
MESSAGES = {
    "offline": (OFFLINE, "the package index cannot be reached; check the network and the proxy"),
    "offline, uv": (UV_OFFLINE, "the package index cannot be reached"),
    "slow": ("ERROR: ReadTimeoutError: Read timed out.", "the package index cannot be reached"),
    "managed": (ENVIRONMENT, "run the webui in a virtual environment"),
    "read-only": ("ERROR: Could not install: [Errno 13] Permission denied: '/x'", "as a user who may write to it"),
    "full": ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
    "conflict": (CONFLICT, "it requires other versions of the webui's packages, which are never changed"),
    "conflict, uv": (UV_CONFLICT, "it requires other versions of the webui's packages"),
    "build": (BUILD, "and its source cannot be compiled here; use a Python that has one (error: subprocess"),
    "build, uv": (UV_BUILD, f"there is no wheel of it for Python {sys.version_info[0]}.{sys.version_info[1]} on "),
    "no wheel": (NO_WHEEL, f"there is no version of it for Python {sys.version_info[0]}.{sys.version_info[1]} on "),
    "no wheel, uv": (UV_NO_WHEEL, "there is no version of it for Python"),
    "unknown": ("WARNING: slow\nERROR: Something else\nmore\n", "is not installed: ERROR: Something else."),
    "silent": ("\n", "is not installed: exit status 1."),
}


@pytest.fixture
def host(tmp_path):
    """A webui that lacks scikit-image only."""
    made = FakeEnvironment(tmp_path)
    made.add_package(*HAS_ALL[0])
    return made


@pytest.mark.parametrize("case", MESSAGES)
def test_each_failure_is_one_line_that_fits(host, case):
    output, message = MESSAGES[case]
    run = host.run(fails={"scikit-image": output})
    assert (run.returncode, run.stderr) == (0, "")
    installing, line = run.stdout.splitlines()
    assert installing == "SadTalker: installing scikit-image"
    assert line.startswith("SadTalker: scikit-image, which the official SadTalker networks require, is not installed: ")
    assert message in line
    assert "Ignored" not in line
    assert line.endswith(f"or earlier if you delete {host.record}")


def failed_once(host, output=NO_WHEEL):
    host.run(fails={"scikit-image": output})
    assert len(host.calls()) == 1


def test_a_failed_package_is_not_requested_again(host):
    failed_once(host)
    run = host.run()
    assert len(host.calls()) == 1
    (line,) = run.stdout.splitlines()
    assert "there is no version of it" in line
    host.record.unlink()
    host.run()
    assert len(host.calls()) == 2
    assert not host.record.exists()


def test_without_a_network_only_the_first_package_is_requested(tmp_path):
    host = FakeEnvironment(tmp_path)
    run = host.run(fails={"imageio-ffmpeg": OFFLINE})
    assert host.requested() == ["imageio-ffmpeg"]
    assert run.stdout.count("the package index cannot be reached") == 2
    assert len(json.loads(host.record.read_text())) == 2


def age(host, seconds):
    """Make the record older."""
    entries = json.loads(host.record.read_text())
    host.record.write_text(json.dumps({key: (next_s - seconds, why) for key, (next_s, why) in entries.items()}))


@pytest.mark.parametrize(("output", "hours"), [(NO_WHEEL, 7 * 24), (OFFLINE, 1)])
def test_a_failed_package_is_requested_again_after_some_time(host, output, hours):
    failed_once(host, output)
    age(host, hours * 3600 - 60)
    host.run(fails={"scikit-image": output})
    assert len(host.calls()) == 1
    age(host, 120)
    host.run(fails={"scikit-image": output})
    assert len(host.calls()) == 2
    ((next_s, _),) = json.loads(host.record.read_text()).values()
    assert next_s > time.time() + hours * 3600 - 60


@pytest.mark.parametrize("part", [0, 1, 2, 3], ids=["requirement", "Python", "platform", "environment"])
def test_a_failed_package_is_requested_again_if_the_situation_changed(host, part):
    """The record of another Python is kept: several webuis may share the extension."""
    failed_once(host)
    ((key, entry),) = json.loads(host.record.read_text()).items()
    parts = key.split(" | ")
    assert parts[0] == "scikit-image"
    parts[part] = "other"
    host.record.write_text(json.dumps({" | ".join(parts): entry}))
    host.run()
    assert len(host.calls()) == 2
    assert list(json.loads(host.record.read_text())) == [" | ".join(parts)]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": [1]}', '{"a": ["x", "y"]}', "\0", "[[[["])
def test_a_damaged_record_is_ignored(host, text):
    host.record.write_text(text)
    run = host.run()
    assert (run.returncode, run.stderr) == (0, "")
    assert host.requested() == ["scikit-image"]


def test_a_record_of_the_future_is_ignored(host):
    """The clock was wrong when it was written."""
    failed_once(host)
    age(host, -10 * 24 * 3600)
    host.run()
    assert len(host.calls()) == 2


def test_the_record_is_removed_when_the_package_is_there(host):
    failed_once(host)
    host.add_package(*HAS_ALL[1])
    assert host.run().stdout == ""
    assert not host.record.exists()


def test_without_pip_and_uv_a_sentence_says_what_to_do(host):
    host.use_uv()
    (host.folder / "bin" / "uv").unlink()
    run = host.run()
    assert (run.returncode, run.stderr) == (0, "")
    (line,) = run.stdout.splitlines()
    assert f'this Python has neither pip nor uv; install uv, or run "{host.python}" -m ensurepip' in line
    assert not host.record.exists()


READ_ONLY = """
import os, runpy, sys
real = os.access
os.access = lambda path, mode: False if mode == os.W_OK and str(path).startswith(sys.argv[2]) else real(path, mode)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def run_read_only(host, folder, **options):
    """Run install.py with a folder that is read-only, which root could write to."""
    script = host.folder / "read_only.py"
    script.write_text(READ_ONLY)
    return host.run(script, arguments=[str(host.script), str(folder)], **options)


def test_a_read_only_environment_is_recognized_without_pip(host):
    host.use_uv()
    run = run_read_only(host, host.folder / "venv")
    (line,) = run.stdout.splitlines()
    assert "site-packages is read-only; start the webui once as a user who may write to it" in line
    assert host.calls() == []


def test_in_a_read_only_extension_the_record_is_in_the_environment(host):
    host.use_uv()
    for _ in range(2):
        run_read_only(host, host.extension, fails={"scikit-image": NO_WHEEL})
    assert len(host.calls()) == 1
    assert [path.name for path in host.extension.iterdir()] == ["install.py"]
    assert (host.folder / "venv" / "install-failed.json").exists()


def test_a_record_that_cannot_be_written_is_no_error(host):
    host.record.mkdir()
    run = host.run(fails={"scikit-image": NO_WHEEL})
    assert (run.returncode, run.stderr) == (0, "")
    assert f"{host.record} cannot be written" in run.stdout
    assert os.listdir(host.record) == []
