"""Run by stable-diffusion-webui at every start: adds the packages that are missing, and changes none that is there.

Standard library only. Every installed package is held at its version by a constraints file, so pip can add but not
replace; where that is impossible it refuses, one line says so, and the webui starts all the same.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

NEEDED = {"imageio-ffmpeg": "imageio-ffmpeg", "mediapipe": "mediapipe>=0.10.9,<0.10.22"}
"""What no webui brings, by the name under which it is looked up. torch, numpy and the like are the webui's own."""
PLAIN_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
PLAIN_VERSION = re.compile(r"^[0-9][A-Za-z0-9.!+_-]*$")
TIMEOUT_S = 900
SKIPPING = {"--skip-install", "--skip-prepare-environment"}


def missing() -> list[str]:
    """Requirements of packages that are not installed."""
    return [requirement for name, requirement in NEEDED.items() if not installed(name)]


def installed(name: str) -> bool:
    """Whether a package of that name is there, in any version: what is there is never changed."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def constraints() -> list[str]:
    """A line ``name==version`` for every installed package; the first of a name counts, as it does for Python."""
    held: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        name, version = found.metadata["Name"] or "", found.metadata["Version"] or ""
        key = re.sub(r"[-_.]+", "-", name).lower()
        if PLAIN_NAME.match(name) and PLAIN_VERSION.match(version):
            held.setdefault(key, f"{name}=={version}")
    return sorted(held.values())


def pip_install(requirements: list[str]) -> str:
    """Add the packages in one call of pip; the reason in pip's own words where it fails, empty where it works."""
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
    if SKIPPING & set(shlex.split(os.environ.get("COMMANDLINE_ARGS", ""), posix=os.name != "nt")):
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
