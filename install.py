"""Install missing packages; stable-diffusion-webui runs this file at every start.

It never changes an installed package: a constraints file pins each at its version, so pip can only add packages. If pip
cannot do that, one line reports the error and the webui starts anyway. Only the standard library is imported, and
little of it if nothing is missing, so that the start stays fast.
"""

from __future__ import annotations

import importlib.util
import os
import sys

REQUIREMENTS = {"imageio_ffmpeg": "imageio-ffmpeg", "mediapipe": "mediapipe==0.10.9"}
"""Requirements by import name: the packages that no webui includes. torch, numpy and others come from the webui."""
NEWER_MEDIAPIPE = "mediapipe>=0.10.13,<0.10.22"
"""For Python 3.12 or protobuf 4, which 0.10.9 does not support; 0.10.9 has fewer dependencies."""
PACKAGE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
PACKAGE_VERSION = r"[0-9][A-Za-z0-9.!+_-]*"
TIMEOUT_S = 900
SKIP_FLAGS = {"--skip-install", "--skip-prepare-environment"}
NEWEST_PROTOBUF = 4
"""Newest major version with which pip installs a MediaPipe that has face models."""
PRIVATE_FOLDER = os.path.join(os.path.dirname(os.path.realpath(__file__)), "packages-apart")
"""Folder for a MediaPipe that conflicts with the webui's packages; only the face worker imports from here."""
FACE_MODEL_FOLDER = os.path.join("python", "solutions")
MEDIAPIPE_DEPENDENCIES = {"absl": "absl-py", "flatbuffers": "flatbuffers", "attr": "attrs"}
"""Requirements by import name: dependencies of MediaPipe that not every webui includes."""


def missing() -> list[str]:
    """Return the requirements of missing packages that can be installed among the webui's packages."""
    names = [name for name in REQUIREMENTS if not installed(name)]
    if "mediapipe" in names and protobuf_major() > NEWEST_PROTOBUF:
        names.remove("mediapipe")
    return [mediapipe_requirement() if name == "mediapipe" else REQUIREMENTS[name] for name in names]


def missing_private() -> list[str]:
    """Return the requirements for :data:`PRIVATE_FOLDER`.

    They are needed if the webui's MediaPipe has no face models, or no MediaPipe with face models supports its protobuf.
    """
    spec = importlib.util.find_spec("mediapipe")
    if spec is None and protobuf_major() <= NEWEST_PROTOBUF:
        return []
    folders = [] if spec is None else spec.submodule_search_locations or []
    for folder in (*folders, os.path.join(PRIVATE_FOLDER, "mediapipe")):
        if os.path.isdir(os.path.join(folder, FACE_MODEL_FOLDER)):
            return []
    dependencies = [package for name, package in MEDIAPIPE_DEPENDENCIES.items() if not installed(name)]
    return [mediapipe_requirement(), *dependencies]


def mediapipe_requirement() -> str:
    """Return the requirement of the MediaPipe for this Python and protobuf."""
    newer = sys.version_info >= (3, 12) or protobuf_major() == NEWEST_PROTOBUF
    return NEWER_MEDIAPIPE if newer else REQUIREMENTS["mediapipe"]


def protobuf_major() -> int:
    """Return the major version of the installed protobuf; 3 if there is none."""
    import importlib.metadata

    try:
        major = importlib.metadata.version("protobuf").partition(".")[0]
    except importlib.metadata.PackageNotFoundError:
        return 3
    return int(major) if major.isdecimal() else 3


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
        if re.fullmatch(PACKAGE_NAME, name) and re.fullmatch(PACKAGE_VERSION, version):
            pinned.setdefault(key, f"{name}=={version}")
    return sorted(pinned.values())


def pip_install(requirements: list[str]) -> str:
    """Install the packages in one call of pip; return pip's error message, empty on success."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        constraints_file = Path(folder, "installed.txt")
        constraints_file.write_text("\n".join(constraints()) + "\n", encoding="utf-8")
        return pip("--constraint", str(constraints_file), *requirements)


def pip_install_private(requirements: list[str]) -> str:
    """Install the packages into :data:`PRIVATE_FOLDER`, which is unchanged on an error; return the error message."""
    import shutil

    part = PRIVATE_FOLDER + ".part"
    shutil.rmtree(part, ignore_errors=True)
    reason = pip("--no-deps", "--target", part, *requirements)
    if reason:
        shutil.rmtree(part, ignore_errors=True)
        return reason
    shutil.rmtree(PRIVATE_FOLDER, ignore_errors=True)
    try:
        os.replace(part, PRIVATE_FOLDER)
    except OSError as e:
        return str(e)
    return ""


def pip(*arguments: str) -> str:
    """Run pip install; return the error message, empty on success."""
    import subprocess

    command = [
        sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--prefer-binary", "--no-input",
        *arguments,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, encoding="utf-8", errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    if done.returncode == 0:
        return ""
    lines = done.stderr.splitlines()
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    return errors[0] if errors else f"pip failed with exit status {done.returncode}"


def main() -> None:
    """Install the missing packages unless the webui's flags forbid it."""
    if SKIP_FLAGS & set(os.environ.get("COMMANDLINE_ARGS", "").split()):
        return
    steps = ((missing(), pip_install, ""), (missing_private(), pip_install_private, " in its own folder"))
    for requirements, install, where in steps:
        if not requirements:
            continue
        names = ", ".join(requirements)
        sys.stdout.write(f"SadTalker: installing {names}{where}\n")
        sys.stdout.flush()
        reason = install(requirements)
        if reason:
            sys.stdout.write(f"SadTalker: {names} could not be installed ({reason}); its tab says what does not work\n")


if __name__ == "__main__":
    main()
