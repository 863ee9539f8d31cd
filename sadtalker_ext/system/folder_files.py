"""Files that a client names in a folder of the server, kept for a job, so that they cannot be exchanged afterwards.

A path that is checked now and opened later may name another file by then: whoever can write to the folder can replace
the file, or a folder above it, by a symbolic link. The file is therefore opened once, one folder after the other and
without links, and kept under a name of the job.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

COPY_BYTES: Final = 1 << 20
_WITHOUT_LINKS: Final = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""False on Windows, where only administrators make symbolic links by default."""


class FileTooLargeError(OSError):
    """A file is larger than a copy of it may be."""


def keep_file(path: Path, folder: Path, target: Path, max_copied_bytes: int) -> None:
    """Make ``target`` a hard link to the file ``path`` below ``folder``, or a copy on another disk.

    path, folder: without symbolic links, as ``Path.resolve`` returns them. Raises OSError if there is no regular file
    without links in between, FileTooLargeError if a copy is needed and would be larger than ``max_copied_bytes``.
    """
    parent = _open_folder(folder, path.parent.relative_to(folder).parts) if _WITHOUT_LINKS else None
    try:
        with _open_file(path, parent) as file:
            if not _linked(path, parent, target, file):
                size = os.fstat(file.fileno()).st_size
                if size > max_copied_bytes:
                    raise FileTooLargeError(f"{size / 1e6:,.0f} MB")
                with target.open("xb") as copy:
                    shutil.copyfileobj(file, copy, COPY_BYTES)
    finally:
        if parent is not None:
            os.close(parent)


def _open_folder(folder: Path, names: tuple[str, ...]) -> int:
    """Return a descriptor of the folder below ``folder`` that is reached through ``names``; OSError at a link."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for name in names:
        try:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)
        here = inner
    return here


def _open_file(path: Path, parent: int | None) -> IO[bytes]:
    """Open a regular file, in the folder of the descriptor ``parent`` if there is one."""

    def opener(name: str, flags: int) -> int:
        if parent is None:
            return os.open(path, flags)
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)  # do not wait for a FIFO

    file = open(path.name, "rb", opener=opener)  # noqa: SIM115 - closed by the caller
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("not a regular file")
    return file


def _linked(path: Path, parent: int | None, target: Path, file: IO[bytes]) -> bool:
    """Make ``target`` a hard link to the open file; return False where that is not possible or not allowed."""
    try:
        if parent is None:
            os.link(path, target)
        else:
            os.link(path.name, target, src_dir_fd=parent, follow_symlinks=False)
    except OSError:  # another disk, or a file of another user that this one may not write
        return False
    if os.path.samestat(target.lstat(), os.fstat(file.fileno())):
        return True
    with suppress(FileNotFoundError):
        target.unlink()  # exchanged in between
    return False
