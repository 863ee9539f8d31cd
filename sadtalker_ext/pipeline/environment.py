"""Checks of the installed packages, for front ends that start whatever is missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

REMEDY: Final = "Install it as described in the README, then restart."


def missing_packages() -> list[str]:
    """Return a sentence for each package that is missing: what does not work, and the remedy."""
    if find_spec("imageio_ffmpeg") is None:
        return [f"No video can be made: the package imageio-ffmpeg is missing. {REMEDY}"]
    return []
