"""Files that are whole or absent: each is written under a temporary name in its folder and renamed at the end.

A temporary name is unique and never longer than 46 bytes, whatever the target is called, so two runs with one target
cannot mix their bytes: both finish, and the target is one of the two files. The temporary file is removed on every
error and interrupt. A process that is killed leaves it behind; the next write into the same folder removes it.

How such a leftover is told from a file that is being written, of this process or any other:

- The name has a fixed pattern. Files with other names are never touched.
- The writer holds a lock on its file until the file has its final name. The system releases the lock when the process
  dies. A locked file, or one that cannot be locked, is never removed.
- The name holds a tag of the machine and of its current start (boot). Locks of another machine on a network share may
  be invisible here, so files with another machine's tag are never removed. Files of an earlier start of this machine
  are removed only if they have not changed since it ended.

On Windows an open file cannot be removed, which takes the place of the lock.
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

from sadtalker_ext.errors import MediaError, SadTalkerError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

WINDOWS: Final = os.name == "nt"
PREFIX: Final = ".sadtalker-"
SUFFIX: Final = ".part"
_NAME: Final = re.compile(r"\.sadtalker-([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{12}\.part")
"""Tag of the machine, tag of its start, and random digits."""
ATTEMPTS: Final = 10
CLOCK_ERROR_S: Final = 3600.0
"""Largest difference assumed between this machine's clock and that of a file server."""
WINDOWS_RECENT_S: Final = 60.0
"""A Windows writer closes its file just before the rename; a file changed so recently may be at that point."""
SWEEP_SHARE: Final = 100
"""After a sweep of a folder the next one waits this many times as long as it took: at most 1 % of the time."""
_LOCK_AT: Final = 1 << 62
"""Byte that is locked, far beyond the content: on some network file systems locked bytes cannot be written."""
_DISK_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_NO_FSYNC: Final = (errno.EINVAL, errno.ENOSYS, getattr(errno, "ENOTSUP", errno.EINVAL))
_next_sweep_s: dict[str, float] = {}
_sweep_lock = threading.Lock()


class AtomicOutput:
    """The temporary file of one target. A context manager: commits at the end of the block, discards on any error.

    target: where the result goes. A symbolic link is followed: the link stays and the file that it names is replaced.
    path: the temporary file, empty and beside the target; write to it by name. error: class of the errors raised here.
    Creating one removes what killed processes left in the folder.
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
        """Flush the file to the disk and give it the target's name."""
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
        with suppress(OSError):  # a read-only or vanished disk; the next run sweeps
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
        file = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # a library may have made a new file there
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
    """Let ``write`` fill the temporary file at the path it is given, then give it the target's name.

    An error of the classes ``failures`` in ``write`` becomes one sentence of the class ``error``.
    """
    with AtomicOutput(target, error) as output:
        try:
            write(output.path)
        except failures as e:
            raise write_failure(target, e, error) from e


def write_text(target: Path, text: str, error: type[SadTalkerError] = MediaError) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    write_file(target, lambda path: path.write_text(text, encoding="utf-8"), error)


def write_failure(target: Path, cause: Exception, error: type[SadTalkerError] = MediaError) -> SadTalkerError:
    """The sentence for a target that could not be written."""
    words = " ".join((getattr(cause, "strerror", None) or str(cause)).split())
    if getattr(cause, "errno", None) in _DISK_FULL or "No space left" in words or "Disk quota" in words:
        return error(f"The disk of {target} is full: free some space, or choose another place")
    return error(f"The output {target} cannot be written ({words}): choose another folder or name")


def check_target(target: Path, error: type[SadTalkerError] = MediaError) -> Path:
    """``target``, or the file that it names as a symbolic link.

    OSError for a name that the file system refuses; ``error`` where something other than a file has the name.
    """
    final = Path(os.path.realpath(target)) if os.path.islink(target) else target
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return final
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
        raise error(f"The output {target} is {kind}, not a file: choose another name")
    return final


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes left in ``folder``; see the top of this module."""
    key = os.path.abspath(folder)
    with _sweep_lock:
        start_s = time.monotonic()
        if start_s < _next_sweep_s.get(key, 0.0):
            return
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                found = _NAME.fullmatch(entry.name)
                if found and found[1] == machine_tag():
                    _remove_leftover(entry.path, same_start=found[2] == start_tag())
        now_s = time.monotonic()
        _next_sweep_s[key] = now_s + SWEEP_SHARE * (now_s - start_s)


def _remove_leftover(path: str, *, same_start: bool) -> None:
    """Remove the file unless a process may still write it."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):  # in use, somebody else's, or gone
        file = os.open(path, flags)
        try:
            status = os.fstat(file)
            dead = stat.S_ISREG(status.st_mode) and _lock(file)
            dead = dead and (same_start or status.st_mtime < _started_s() - CLOCK_ERROR_S)
            if dead and not WINDOWS:
                os.unlink(path)
        finally:
            os.close(file)
        if dead and WINDOWS and time.time() - status.st_mtime > WINDOWS_RECENT_S:
            os.unlink(path)


def _create(folder: Path) -> tuple[Path, int]:
    """A new locked file in ``folder`` and its descriptor."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    for _ in range(ATTEMPTS):
        path = folder / f"{PREFIX}{machine_tag()}-{start_tag()}-{secrets.token_hex(6)}{SUFFIX}"
        try:
            file = os.open(path, flags, 0o666)
        except FileExistsError:
            continue
        try:
            _lock(file)
            if os.path.exists(path):
                return path, file  # else another process took it for a leftover before it was locked
        except BlockingIOError:  # that process holds the lock and is about to remove the file
            pass
        except BaseException:
            os.close(file)
            os.unlink(path)
            raise
        os.close(file)
    raise OSError(errno.EEXIST, "no temporary file can be made", str(folder))


def _lock(file: int) -> bool:
    """Lock an open file until it is closed; False where the file system has no locks.

    BlockingIOError if it is locked already. Locks of Linux's kind "open file description" cover one byte; those of
    flock, for other systems, the file. Both belong to the descriptor: opening the file again does not release them.
    """
    if WINDOWS:
        return True
    try:
        if hasattr(fcntl, "F_OFD_SETLK"):
            wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _LOCK_AT, 1, 0)
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, wanted)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        if e.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK):
            raise BlockingIOError(errno.EAGAIN, "the file is locked") from e
        return False
    return True


@lru_cache(maxsize=1)
def machine_tag() -> str:
    """8 hexadecimal digits that stand for this machine."""
    identity = _first_line("/etc/machine-id") or _first_line("/proc/sys/kernel/random/boot_id")
    return _tag(identity or f"{socket.gethostname()} {uuid.getnode()}")


@lru_cache(maxsize=1)
def start_tag() -> str:
    """8 hexadecimal digits that stand for the time since this machine was last started, where the system tells it."""
    return _tag(_first_line("/proc/sys/kernel/random/boot_id"))


@lru_cache(maxsize=1)
def _started_s() -> float:
    """Unix time at which this machine was started; 0 where it is unknown."""
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
    """Make the rename survive a power failure, where folders can be flushed."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
