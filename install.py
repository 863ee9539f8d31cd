"""Run by stable-diffusion-webui at every start: adds the packages that are missing, and changes none that is there.

Standard library only, and little of it while nothing is missing, because this runs at every start. Every installed
package is held at its version by a constraints file, so pip can add but not replace; where that is impossible it
refuses, one line says so, and the webui starts all the same.
"""

from __future__ import annotations

import importlib.util
import os
import sys

NEEDED = {"imageio_ffmpeg": "imageio-ffmpeg", "mediapipe": "mediapipe==0.10.9"}
"""What no webui brings, by the name it is imported by. torch, numpy and the like are the webui's own."""
NEWER_MEDIAPIPE = "mediapipe>=0.10.13,<0.10.22"
"""For Python 3.12, or where protobuf is 4 already: 0.10.9 is for older ones, and brings far less with it."""
PLAIN_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
PLAIN_VERSION = r"[0-9][A-Za-z0-9.!+_-]*"
TIMEOUT_S = 900
SKIPPING = {"--skip-install", "--skip-prepare-environment"}
NEWEST_PROTOBUF = 4
"""Major version beside which pip still installs a MediaPipe that has face models."""
APART = os.path.join(os.path.dirname(os.path.realpath(__file__)), "packages-apart")
"""For a MediaPipe that cannot stand among the host's packages; only the face worker looks here."""
FACE_MODELS = os.path.join("python", "solutions")
BROUGHT_ALONG = {"absl": "absl-py", "flatbuffers": "flatbuffers", "attr": "attrs"}
"""What it needs besides what every host has."""


def missing() -> list[str]:
    """Requirements of packages that are not installed and can be, among the host's."""
    names = [name for name in NEEDED if not installed(name)]
    if "mediapipe" in names and protobuf_major() > NEWEST_PROTOBUF:
        names.remove("mediapipe")
    return [suitable_mediapipe() if name == "mediapipe" else NEEDED[name] for name in names]


def missing_apart() -> list[str]:
    """Requirements for :data:`APART`: where the host's MediaPipe has no face models, or its protobuf allows none."""
    spec = importlib.util.find_spec("mediapipe")
    if spec is None and protobuf_major() <= NEWEST_PROTOBUF:
        return []
    folders = [] if spec is None else spec.submodule_search_locations or []
    for folder in (*folders, os.path.join(APART, "mediapipe")):
        if os.path.isdir(os.path.join(folder, FACE_MODELS)):
            return []
    return [suitable_mediapipe(), *(package for name, package in BROUGHT_ALONG.items() if not installed(name))]


def suitable_mediapipe() -> str:
    """The old one, unless this Python or this protobuf wants a newer."""
    newer = sys.version_info >= (3, 12) or protobuf_major() == NEWEST_PROTOBUF
    return NEWER_MEDIAPIPE if newer else NEEDED["mediapipe"]


def protobuf_major() -> int:
    """Of the host's protobuf; 3 where there is none."""
    import importlib.metadata

    try:
        major = importlib.metadata.version("protobuf").partition(".")[0]
    except importlib.metadata.PackageNotFoundError:
        return 3
    return int(major) if major.isdecimal() else 3


def installed(name: str) -> bool:
    """Whether a package of that name is there, in any version: what is there is never changed."""
    found = importlib.util.find_spec(name)
    return found is not None and found.origin is not None


def constraints() -> list[str]:
    """A line ``name==version`` for every installed package; the first of a name counts, as it does for Python."""
    import importlib.metadata
    import re

    held: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        name, version = found.metadata["Name"] or "", found.metadata["Version"] or ""
        key = re.sub(r"[-_.]+", "-", name).lower()
        if re.fullmatch(PLAIN_NAME, name) and re.fullmatch(PLAIN_VERSION, version):
            held.setdefault(key, f"{name}=={version}")
    return sorted(held.values())


def pip_install(requirements: list[str]) -> str:
    """Add the packages in one call of pip; the reason in pip's own words where it fails, empty where it works."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder, "installed.txt")
        held.write_text("\n".join(constraints()) + "\n", encoding="utf-8")
        return pip("--constraint", str(held), *requirements)


def pip_install_apart(requirements: list[str]) -> str:
    """The same into :data:`APART`, which is there whole or as it was before."""
    import shutil

    part = APART + ".part"
    shutil.rmtree(part, ignore_errors=True)
    reason = pip("--no-deps", "--target", part, *requirements)
    if reason:
        shutil.rmtree(part, ignore_errors=True)
        return reason
    shutil.rmtree(APART, ignore_errors=True)
    try:
        os.replace(part, APART)
    except OSError as e:
        return str(e)
    return ""


def pip(*arguments: str) -> str:
    """One call of pip install; the reason where it fails."""
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
    told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
    return told[0] if told else f"pip ended with {done.returncode}"


def main() -> None:
    """Install what is missing, if installing is allowed."""
    if SKIPPING & set(os.environ.get("COMMANDLINE_ARGS", "").split()):
        return
    steps = ((missing(), pip_install, ""), (missing_apart(), pip_install_apart, " in its own folder"))
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
