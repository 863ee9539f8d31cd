"""The JavaScript and CSS of the page.

In a checkout, which is also what hosts install, the files are in the repository root, where hosts look for them. In an
installed wheel they are in this package; ``setup.py`` copies them when it builds the wheel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sadtalker_ext.errors import MissingPackageError

PACKAGED: Final = Path(__file__).parent / "assets"
REPOSITORY: Final = Path(__file__).resolve().parents[2]
SCRIPT_FOLDER: Final = "javascript"
STYLE: Final = "style.css"


def page_script() -> str:
    """Return the page's JavaScript, all files joined; MissingPackageError if there is none."""
    return "\n".join(path.read_text("utf-8") for path in _find(f"{SCRIPT_FOLDER}/*.js"))


def page_style() -> str:
    """Return the page's CSS; MissingPackageError if there is none."""
    return "\n".join(path.read_text("utf-8") for path in _find(STYLE))


def _find(pattern: str) -> list[Path]:
    for folder in (PACKAGED, REPOSITORY):
        if files := sorted(folder.glob(pattern)):
            return files
    raise MissingPackageError(f"The web UI's {pattern} is missing from this installation; install sadtalker-ext again")
