"""What prevents writing to a path, in the words of a message, and folders for output."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from sadtalker_ext.errors import FileRef, MediaError

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.errors import SadTalkerError

_BROKEN_LINK_ERRORS = (errno.ENOENT, errno.EEXIST)
"""Errors of the system for a path through a link whose target is missing: in opening a file, and in making a folder."""


def write_problem(path: Path, error: Exception) -> str:
    """Return in one line why ``path``, a file or a folder, cannot be written or created.

    The system says "File exists" for a file in the place of a folder, and for a link that leads to nothing, which are
    named then.
    """
    if getattr(error, "errno", None) in _BROKEN_LINK_ERRORS:
        for part in (path, *path.parents):
            if part.is_symlink() and not part.exists():
                return f"{part.name} is a link to a place that does not exist"
    if isinstance(error, FileExistsError) and path.is_file():
        return f"{path.name} is a file, not a folder"
    return " ".join((getattr(error, "strerror", None) or str(error)).split())


def require_folder(folder: Path, remedy: str) -> None:
    """Raise MediaError unless ``folder`` is a folder. remedy: what to do, the last part of the message."""
    if not folder.is_dir():
        role, problem = ("file", "is not a folder") if folder.exists() else ("folder", "does not exist")
        raise MediaError("The ", FileRef(role, folder), f" {problem}; {remedy}")


def make_folder(folder: Path, error: type[SadTalkerError] = MediaError) -> None:
    """Create a folder for output, and those above it; ``error`` with the reason if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as e:
        problem = write_problem(folder, e)
        raise error("The ", FileRef("folder", folder), f" cannot be created ({problem}); choose another folder") from e
