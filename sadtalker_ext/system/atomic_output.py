"""Atomic output files: each is written under a temporary name in its folder and renamed at the end.

A temporary name is unique and never longer than 46 bytes, so two runs with the same target cannot mix their bytes: both
finish, and the target is one of the two files. The temporary file is removed on every error and interrupt. A killed
process leaves it behind; the next write to the same folder removes it.

A leftover is distinguished from a file that is being written, by this process or any other, as follows:

- The name has a fixed pattern. Files with other names are never touched.
- The writer holds a lock on its file until the file has its final name. The system releases the lock when the process
  ends. A locked file, or one that cannot be locked, is never removed.
- The name contains a tag of the machine and of its current boot. Locks of another machine on a network share may be
  invisible here, so files with another machine's tag are never removed. Files of an earlier boot of this machine are
  removed only if they have not changed since it ended.

On Windows an open file cannot be removed, which replaces the lock.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import socket
import stat
import struct
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Final

from sadtalker_ext.errors import FileRef, MediaError, SadTalkerError
from sadtalker_ext.system.path_problems import write_problem

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

WINDOWS: Final = os.name == "nt"
PREFIX: Final = ".sadtalker-"
SUFFIX: Final = ".part"
_NAME: Final = re.compile(r"\.sadtalker-([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{12}\.part")
"""Machine tag, boot tag and random digits."""
ATTEMPTS: Final = 10
"""Temporary names that are tried before giving up."""
CLOCK_ERROR_S: Final = 3600.0
"""Largest assumed difference between the clocks of this machine and a file server."""
WINDOWS_RECENT_S: Final = 60.0
"""A writer on Windows closes its file just before the rename, so files changed this recently are kept."""
SWEEP_SHARE: Final = 100
"""Minimum time between sweeps of a folder, in durations of the last sweep: sweeps take at most 1 % of the time."""
_LOCK_AT: Final = 1 << 62
"""Offset of the locked byte, far beyond the content: some network file systems do not write locked bytes."""
_DISK_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_NO_FSYNC: Final = (errno.EINVAL, errno.ENOSYS, getattr(errno, "ENOTSUP", errno.EINVAL))
_next_sweep_s: dict[str, float] = {}
_sweep_lock = threading.Lock()


class AtomicOutput:
    """The temporary file of one target; a context manager that commits at the end of the block and discards on errors.

    target: path of the result. If it is a symbolic link, the link is kept and the file that it names is replaced.
    path: the temporary file, empty and in the folder of the target; write to it by name. error: class of the errors
    that are raised. The constructor removes temporary files that killed processes left in the folder.
    """

    def __init__(self, target: Path, error: type[SadTalkerError] = MediaError) -> None:
        self.target, self._error = target, error
        try:
            self._final = check_target(target, error)
            sweep(self._final.parent)
            self.path, self._file = _create(self._final.parent)
        except (OSError, ValueError) as e:
            raise write_failure(target, e, error) from e

    def commit(self) -> None:
        """Flush the file to disk and rename it to the target."""
        try:
            self._flush()
            if WINDOWS:
                self._close()
            os.replace(self.path, self._final)
        except OSError as e:
            self.discard()
            raise write_failure(self.target, e, self._error) from e
        self._close()
        _flush_folder(self._final.parent)

    def discard(self) -> None:
        """Remove the temporary file."""
        if WINDOWS:
            self._close()
        with suppress(OSError):  # the disk is read-only or gone; the next run sweeps
            self.path.unlink(missing_ok=True)
        self._close()

    def __enter__(self) -> AtomicOutput:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()

    def _flush(self) -> None:
        file = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # a library may have replaced the file
        try:
            os.fsync(file)
        except OSError as e:
            if e.errno not in _NO_FSYNC:
                raise
        finally:
            os.close(file)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def write_file(
    target: Path,
    write: Callable[[Path], object],
    error: type[SadTalkerError] = MediaError,
    failures: tuple[type[Exception], ...] = (OSError,),
) -> None:
    """Write ``target`` atomically: call ``write`` with the path of the temporary file, then rename it.

    Exceptions of the classes ``failures`` in ``write`` are raised as ``error`` with a message for the user.
    """
    with AtomicOutput(target, error) as output:
        try:
            write(output.path)
        except failures as e:
            raise write_failure(target, e, error) from e


def write_text(target: Path, text: str, error: type[SadTalkerError] = MediaError) -> None:
    """Write a UTF-8 text file atomically."""
    write_file(target, lambda path: path.write_text(text, encoding="utf-8"), error)


def write_failure(target: Path, cause: Exception, error: type[SadTalkerError] = MediaError) -> SadTalkerError:
    """Return the error for a target that cannot be written."""
    ref = FileRef("output", target)
    message = write_problem(target, cause)
    if getattr(cause, "errno", None) in _DISK_FULL or "No space left" in message or "Disk quota" in message:
        return error("The disk of the ", ref, " is full: free some space or choose another folder")
    return error("The ", ref, f" cannot be written ({message}): choose another folder or name")


def check_target(target: Path, error: type[SadTalkerError] = MediaError) -> Path:
    """Return ``target``, or the file that it links to.

    OSError if the file system rejects the name; ``error`` if the name belongs to something other than a regular file.
    """
    final = Path(os.path.realpath(target)) if os.path.islink(target) else target
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return final
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
        raise error("The ", FileRef("output", target), f" is {kind}, not a file: choose another name")
    return final


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes left in ``folder``; see the module docstring."""
    key = os.path.abspath(folder)
    with _sweep_lock:
        start_s = time.monotonic()
        if start_s < _next_sweep_s.get(key, 0.0):
            return
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                found = _NAME.fullmatch(entry.name)
                if found and found[1] == machine_tag():
                    _remove_leftover(entry.path, same_boot=found[2] == boot_tag())
        now_s = time.monotonic()
        _next_sweep_s[key] = now_s + SWEEP_SHARE * (now_s - start_s)


def _remove_leftover(path: str, *, same_boot: bool) -> None:
    """Remove the file unless a process may still write to it."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):  # in use, of another user, or gone
        file = os.open(path, flags)
        try:
            status = os.fstat(file)
            abandoned = stat.S_ISREG(status.st_mode) and _lock(file)
            abandoned = abandoned and (same_boot or status.st_mtime < _boot_time_s() - CLOCK_ERROR_S)
            if abandoned and not WINDOWS:
                os.unlink(path)
        finally:
            os.close(file)
        if abandoned and WINDOWS and time.time() - status.st_mtime > WINDOWS_RECENT_S:
            os.unlink(path)


def _create(folder: Path) -> tuple[Path, int]:
    """Create a locked file in ``folder``; return its path and descriptor."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    for _ in range(ATTEMPTS):
        path = folder / f"{PREFIX}{machine_tag()}-{boot_tag()}-{secrets.token_hex(6)}{SUFFIX}"
        try:
            file = os.open(path, flags, 0o666)
        except FileExistsError:
            continue
        try:
            _lock(file)
            if os.path.exists(path):
                return path, file  # otherwise another process removed it before it was locked
        except BlockingIOError:  # that process holds the lock and will remove the file
            pass
        except BaseException:
            os.close(file)
            os.unlink(path)
            raise
        os.close(file)
    raise OSError(errno.EEXIST, "no temporary file can be created", str(folder))


def _lock(file: int) -> bool:
    """Lock an open file until it is closed; return False if the file system has no locks.

    BlockingIOError if it is already locked. On Linux an open file description lock covers one byte; on other systems
    flock covers the file. Both belong to the descriptor: opening and closing the file again does not release them.
    """
    if WINDOWS:
        return True
    try:
        if hasattr(fcntl, "F_OFD_SETLK"):
            request = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _LOCK_AT, 1, 0)
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, request)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        if e.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK):
            raise BlockingIOError(errno.EAGAIN, "the file is locked") from e
        return False
    return True


@lru_cache(maxsize=1)
def machine_tag() -> str:
    """Return 8 hexadecimal digits that identify this machine."""
    identity = _first_line("/etc/machine-id") or _first_line("/proc/sys/kernel/random/boot_id")
    return _tag(identity or f"{socket.gethostname()} {uuid.getnode()}")


@lru_cache(maxsize=1)
def boot_tag() -> str:
    """Return 8 hexadecimal digits that identify the current boot of this machine, if the system provides an id."""
    return _tag(_first_line("/proc/sys/kernel/random/boot_id"))


@lru_cache(maxsize=1)
def _boot_time_s() -> float:
    """Return the Unix time of the last boot; 0 if unknown."""
    with suppress(OSError, ValueError), open("/proc/stat", encoding="ascii") as lines:
        return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)
    return 0.0


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except (OSError, ValueError):
        return ""


def _tag(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


def _flush_folder(folder: Path) -> None:
    """Flush the folder, if possible, so that the rename survives a power failure."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
