"""Install missing packages; stable-diffusion-webui runs this file at every start.

It never changes an installed package: a constraints file pins each at its version, so packages can only be added. Each
package is installed in a step of its own, so that one that cannot be installed does not stop the others. A failed step
prints one line, and the webui starts anyway. The failure is saved in the file :data:`RECORD`, and the package is tried
again only when Python, the platform or the requirement has changed, or :data:`RETRY_S` later. Only the standard library
is imported, and little of it if nothing is missing, so that the start stays fast.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import NamedTuple


class Requirement(NamedTuple):
    """A package that not every webui includes, under its import name and its name for pip, and what needs it."""

    module: str
    package: str
    use: str


class Failure(NamedTuple):
    """A cause of a failed installation: texts by which it is recognised, and the message about it."""

    marks: tuple[str, ...]
    message: str


REQUIREMENTS = (
    Requirement("imageio_ffmpeg", "imageio-ffmpeg", "videos"),
    Requirement("skimage", "scikit-image", "the official SadTalker networks"),
)
"""SD.Next has no scikit-image, and no webui has imageio-ffmpeg; torch, numpy and others come from the webui."""
FOLDER = os.path.dirname(os.path.realpath(__file__))
RECORD = "install-failed.json"
"""File with the failed requirements, in the extension's folder; if it is deleted, they are tried again."""
RETRY_S, OFFLINE_RETRY_S = 7 * 24 * 3600, 3600
"""Time until a failed requirement is tried again: generally, and if the package index could not be reached."""
OUTDATED_FOLDERS = ("packages-apart", "packages-apart.part")
"""Folders in which earlier versions installed MediaPipe."""
PACKAGE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
PACKAGE_VERSION = (
    r"(\d+!)?\d+(\.\d+)*([-_.]?(a|alpha|b|beta|c|rc|pre|preview)[-_.]?\d*)?"
    r"(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?"
)
"""Pattern of a version that pip and uv accept (PEP 440); a constraints file with another one is refused as a whole."""
TIMEOUT_S = 900
SKIP_FLAGS = {"--skip-install", "--skip-prepare-environment"}
OFFLINE = Failure(
    (
        "name resolution", "getaddrinfo", "newconnectionerror", "connecttimeout", "readtimeout", "read timed out",
        "failed to establish a new connection", "dns error", "error sending request", "connection refused",
        "connection reset", "proxyerror", "sslerror", "maxretryerror", "timed out after",
    ),
    "the package index cannot be reached; check the network and the proxy",
)  # fmt: skip
NO_WHEEL = (
    "there is no wheel of it for Python {python} on {platform}, and its source cannot be compiled here; use a Python "
    "that has one"
)
NO_VERSION = "there is no version of it for Python {python} on {platform}; use a Python that has one"
FAILURES = (
    OFFLINE,
    Failure(
        ("externally-managed-environment", "externally managed"),
        "the operating system manages this Python; run the webui in a virtual environment",
    ),
    Failure(
        ("permission denied", "access is denied", "read-only file system", "[errno 13]", "[errno 30]"),
        "the folder of Python's packages is read-only; start the webui once as a user who may write to it",
    ),
    Failure(("no space left", "[errno 28]"), "the disk is full; free some space"),
    Failure(
        ("subprocess-exited-with-error", "metadata-generation-failed", "the build backend returned an error"), NO_WHEEL
    ),
    Failure(("no wheels with", "different python", "not found in the package registry"), NO_VERSION),
    Failure(
        ("resolutionimpossible", "conflicting dependencies", "unsatisfiable"),
        "it requires other versions of the webui's packages, which are never changed",
    ),
    Failure(("no matching distribution", "could not find a version"), NO_VERSION),
)
"""Causes in the order in which they are looked for, because the output may match several: without a network, pip also
writes "No matching distribution"; if a package has no wheel, uv also writes "unsatisfiable"."""


def missing() -> list[Requirement]:
    """Return the requirements whose package is not installed."""
    return [requirement for requirement in REQUIREMENTS if not installed(requirement.module)]


def installed(name: str) -> bool:
    """Whether a package of this name is installed, in any version."""
    found = importlib.util.find_spec(name)
    return found is not None and found.origin is not None


def constraints() -> list[str]:
    """Return ``name==version`` for every installed package; of duplicates the first, which Python imports."""
    import importlib.metadata
    import re

    pinned: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        name, version = found.metadata["Name"] or "", found.metadata["Version"] or ""
        key = re.sub(r"[-_.]+", "-", name).lower()
        if re.fullmatch(PACKAGE_NAME, name) and re.fullmatch(PACKAGE_VERSION, version, re.IGNORECASE):
            pinned.setdefault(key, f"{name}=={version}")
    return sorted(pinned.values())


def installer() -> list[str]:
    """Return the command that installs packages into this Python: pip, or uv if there is no pip; empty if neither."""
    if importlib.util.find_spec("pip") is not None:
        options = ["--disable-pip-version-check", "--prefer-binary", "--no-input", "--retries", "1", "--timeout", "15"]
        return [sys.executable, "-m", "pip", "install", *options]
    import shutil

    uv = shutil.which("uv")
    return [uv, "pip", "install", "--python", sys.executable] if uv else []


def obstacle(command: list[str]) -> str:
    """Return why no package can be installed at all; empty if nothing is known to prevent it."""
    import sysconfig

    if not command:
        return f'this Python has neither pip nor uv; install uv, or run "{sys.executable}" -m ensurepip'
    site = sysconfig.get_path("purelib")
    if sys.prefix != sys.base_prefix and not os.access(site, os.W_OK):  # elsewhere, pip uses the user's own folder
        return f"the folder {site} is read-only; start the webui once as a user who may write to it"
    return ""


def install(command: list[str], package: str) -> str:
    """Install a package with the command of :func:`installer`; return its error output, empty on success."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "installed.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(constraints()) + "\n")
        try:
            done = subprocess.run(
                [*command, "--constraint", path, package],
                capture_output=True, text=True, timeout=TIMEOUT_S, check=False, encoding="utf-8", errors="replace",
                env={"UV_HTTP_RETRIES": "1", **os.environ},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as e:
            return str(e)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}"


def find_failure(output: str) -> Failure | None:
    """Return the cause that the error output of pip or uv names; None if it is unknown."""
    text = output.lower()
    return next((failure for failure in FAILURES if any(mark in text for mark in failure.marks)), None)


def describe(output: str) -> str:
    """Return the message about a failed installation: its cause, and the error line of pip or uv."""
    import sysconfig

    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error") and "Ignored the" not in line] or lines[-1:]
    failure = find_failure(output)
    if failure is None:
        return errors[0]
    python = ".".join(map(str, sys.version_info[:2]))
    return f"{failure.message.format(python=python, platform=sysconfig.get_platform())} ({errors[0]})"


def record_path() -> str:
    """Return the path of the record; in a read-only folder of the extension it is in Python's own folder."""
    return os.path.join(FOLDER if os.access(FOLDER, os.W_OK) else sys.prefix, RECORD)


def environment() -> str:
    """Return the version, platform and folder of this Python: a failure in another one says nothing about this one."""
    import sysconfig

    return " | ".join((sys.version.split()[0], sysconfig.get_platform(), sys.prefix))


def read_record() -> dict[str, tuple[float, str]]:
    """Return the failures that are not tried again yet: for each key the time of the next attempt, and the reason."""
    import json
    import time

    now_s = time.time()
    try:
        with open(record_path(), encoding="utf-8") as file:
            entries = [(str(key), float(next_s), str(reason)) for key, (next_s, reason) in json.load(file).items()]
    except (OSError, ValueError, TypeError, AttributeError):  # no record, or a damaged one
        return {}
    return {key: (next_s, reason) for key, next_s, reason in entries if now_s < next_s <= now_s + RETRY_S}


def write_record(entries: dict[str, tuple[float, str]]) -> None:
    """Save the failures; remove the file if there are none."""
    import json

    path = record_path()
    try:
        if entries:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(entries, file, indent=1)
        elif os.path.exists(path):
            os.remove(path)
    except OSError as e:
        say(f"{path} cannot be written ({e}), so that the failed packages are tried again at every start")


def remove_outdated() -> None:
    """Remove the folders that earlier versions of the extension made."""
    for name in OUTDATED_FOLDERS:
        path = os.path.join(FOLDER, name)
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil

            shutil.rmtree(path, ignore_errors=True)


def say(text: str) -> None:
    """Print a line for the user."""
    sys.stdout.write(f"SadTalker: {text}\n")
    sys.stdout.flush()


def add_packages(requirements: list[Requirement]) -> None:
    """Install each of the packages unless that has failed before; print what is missing, why, and what needs it."""
    failed, command = read_record(), installer()
    prevented, offline = obstacle(command), None
    for requirement in requirements:
        key = f"{requirement.package} | {environment()}"
        if not prevented and key not in failed:
            entry = offline or try_package(command, requirement.package)
            if entry is None:
                continue
            failed[key] = entry
            offline = entry if OFFLINE.message in entry[1] else None
        say(
            f"{requirement.package}, which {requirement.use} require, is not installed: {prevented or why(failed[key])}"
        )
    write_record(failed)


def try_package(command: list[str], package: str) -> tuple[float, str] | None:
    """Install a package; return None, or the entry of the record: the time of the next attempt, and the reason."""
    import time

    say(f"installing {package}")
    output = install(command, package)
    wait_s = OFFLINE_RETRY_S if find_failure(output) is OFFLINE else RETRY_S
    return (time.time() + wait_s, describe(output)) if output else None


def why(entry: tuple[float, str]) -> str:
    """Return the message about an entry of the record."""
    import time

    date = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry[0]))
    return f"{entry[1]}. It is tried again after {date}, or earlier if you delete {record_path()}"


def main() -> None:
    """Install the missing packages unless the webui's flags forbid it."""
    if SKIP_FLAGS & set(os.environ.get("COMMANDLINE_ARGS", "").split()):
        return
    remove_outdated()
    requirements = missing()
    if requirements:
        add_packages(requirements)
    elif os.path.exists(record_path()):
        write_record({key: entry for key, entry in read_record().items() if not key.endswith(environment())})


if __name__ == "__main__":
    main()
