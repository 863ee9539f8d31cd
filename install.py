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


def missing() -> list[str]:
    """Requirements of packages that are not installed."""
    names = [name for name in NEEDED if not installed(name)]
    return [NEWER_MEDIAPIPE if name == "mediapipe" and wants_newer() else NEEDED[name] for name in names]


def wants_newer() -> bool:
    """Whether the old MediaPipe cannot be installed beside this Python or this protobuf."""
    import importlib.metadata

    try:
        protobuf = importlib.metadata.version("protobuf")
    except importlib.metadata.PackageNotFoundError:
        protobuf = "3"
    return sys.version_info >= (3, 12) or protobuf.partition(".")[0] not in ("3", "2")


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
    import subprocess
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder, "installed.txt")
        held.write_text("\n".join(constraints()) + "\n", encoding="utf-8")
        command = [
            sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--prefer-binary", "--no-input",
            "--constraint", str(held), *requirements,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, encoding="utf-8",
                errors="replace",
            )  # fmt: skip
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
    lacking = missing()
    if not lacking:
        return
    names = ", ".join(lacking)
    sys.stdout.write(f"SadTalker: adding {names}\n")
    sys.stdout.flush()
    reason = pip_install(lacking)
    if reason:
        sys.stdout.write(f"SadTalker: {names} could not be added ({reason}); its tab will say what does not work\n")


if __name__ == "__main__":
    main()
