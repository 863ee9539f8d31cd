"""Folders for temporary files, such as uploads to a server; folders of processes that were killed are removed.

Each folder is in the system's folder for temporary files. A file in it stays locked as long as the process lives, also
across containers that share the folder, so that a folder without a locked file is a leftover.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final
from uuid import uuid4

WINDOWS: Final = os.name == "nt"
"""There, no lock is needed: an open file cannot be removed."""
if not WINDOWS:
    import fcntl

PREFIX: Final = "sadtalker_jobs_"
LOCK_NAME: Final = "lock"
NEW_S: Final = 60.0
"""Age up to which a folder without a lock file may be one that another process is just creating."""
ATTEMPTS: Final = 5


class WorkFolder:
    """Creates the folder when it is first needed, and removes it at the end of the block or of the process."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._file: IO[bytes] | None = None
        self._guard = threading.Lock()

    def __enter__(self) -> WorkFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.remove()

    def root(self) -> Path:
        """Return the folder; if it does not exist, remove leftovers of killed processes and create it."""
        with self._guard:
            if self._root is None or not self._root.is_dir():
                self._close()
                parent = Path(tempfile.gettempdir())
                sweep(parent)
                self._root, self._file = _create(parent)
                atexit.register(self.remove)
            return self._root

    def new_job(self) -> Path:
        """Return a new, empty folder for the uploads of a job."""
        return Path(tempfile.mkdtemp(dir=self.root()))

    def new_video(self) -> Path:
        """Return the path of a new temporary video."""
        return self.root() / f"{uuid4().hex}.mp4"

    def remove(self) -> None:
        """Remove the folder and everything in it."""
        with self._guard:
            root = self._root
            self._root = None
            self._close()
        if root is not None:
            shutil.rmtree(root, ignore_errors=True)
        atexit.unregister(self.remove)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def sweep(parent: Path) -> None:
    """Remove the folders of processes of this user that no longer run."""
    with os.scandir(parent) as entries:
        found = [entry for entry in entries if entry.name.startswith(PREFIX)]
    for entry in found:
        with suppress(OSError):  # another process removed it, or still uses it
            status = entry.stat(follow_symlinks=False)
            own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if own and entry.is_dir(follow_symlinks=False):
                _remove_leftover(Path(entry.path))


def _remove_leftover(folder: Path) -> None:
    """Remove a folder; OSError if a process uses it."""
    path = folder / LOCK_NAME
    if not path.exists():
        if time.time() - folder.stat().st_mtime > NEW_S:
            shutil.rmtree(folder, ignore_errors=True)
    elif WINDOWS:
        path.unlink()
        shutil.rmtree(folder, ignore_errors=True)
    else:
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _create(parent: Path) -> tuple[Path, IO[bytes]]:
    """Return a new folder and its open, locked file."""
    for _ in range(ATTEMPTS):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        path = folder / LOCK_NAME
        file = path.open("xb")
        try:
            if not WINDOWS:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                return folder, file
        except BlockingIOError:  # another process sees a leftover in it and removes it
            pass
        except OSError:  # the file system has no locks: processes on it cannot recognise leftovers
            return folder, file
        file.close()
    raise OSError(f"no folder for temporary files can be created in {parent}")
