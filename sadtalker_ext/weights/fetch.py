"""Fetching checkpoints: resumed, checked, one at a time, and only under their name when they are complete."""

from __future__ import annotations

import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.catalog import DEFAULT_MIRROR, Checkpoint, address
from sadtalker_ext.weights.check import file_sha256

BLOCK_BYTES = 1 << 18
ATTEMPTS = 4
PAUSE_S = 1.0
TIMEOUT_S = 30.0
SPARE_BYTES = 50_000_000
"""Left free on the disk."""
PARTIAL = 206


def _silent(_done: int, _total: int) -> None: ...


@dataclass(frozen=True)
class FetchOptions:
    """mirror: a name of the catalogue or an address. report: told (bytes done, bytes in all); it may raise Cancelled,
    what has come so far stays and the next fetch goes on from there. pause_s: before a retry, growing.
    """

    mirror: str = DEFAULT_MIRROR
    report: Callable[[int, int], None] = _silent
    pause_s: float = PAUSE_S


def fetch(entry: Checkpoint, folder: Path, options: FetchOptions = FetchOptions()) -> Path:
    """Fetch one checkpoint into ``folder`` and return its path; a file that is already there and whole is kept."""
    url = address(entry, options.mirror)
    target = folder / entry.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder / f".{entry.name}.lock", entry.name):
            if target.is_file() and target.stat().st_size == entry.size_bytes:
                return target
            part = folder / f"{entry.name}.part"
            _check_space(entry, folder, part)
            _download(url, part, entry, options)
            _verify(part, entry, url)
            part.replace(target)
    except OSError as e:
        reason = e.strerror or e
        raise WeightsError(f"{target} cannot be written ({reason}); choose another folder with --folder") from e
    return target


@contextmanager
def lock(path: Path, name: str) -> Iterator[None]:
    """Hold the lock file while inside; the system gives it up even when the process dies."""
    with path.open("a+b") as file:
        try:
            _lock(file)
        except OSError as e:
            raise WeightsError(f"{name} is being fetched by another process; wait for it to finish") from e
        yield


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _check_space(entry: Checkpoint, folder: Path, part: Path) -> None:
    have = part.stat().st_size if part.is_file() else 0
    free, needed = shutil.disk_usage(folder).free, entry.size_bytes - have + SPARE_BYTES
    if free < needed:
        raise WeightsError(
            f"{folder} has {free / 1e6:,.0f} MB free, {entry.name} needs {needed / 1e6:,.0f} MB; free some space or "
            "choose another folder with --folder"
        )


def _download(url: str, part: Path, entry: Checkpoint, options: FetchOptions) -> None:
    """Fill ``part`` up to the size of the checkpoint; broken connections are taken up where they ended."""
    cause = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(options.pause_s * attempt)
        try:
            if _fetch_rest(url, part, entry, options):
                return
            cause = f"the connection ended after {part.stat().st_size:,} of {entry.size_bytes:,} bytes"
        except urllib.error.HTTPError as e:
            cause = f"the server answered {e.code} {e.reason}"
            if 400 <= e.code < 500:
                break
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as e:
            cause = str(getattr(e, "reason", e)) or type(e).__name__
    raise WeightsError(
        f"{entry.name} could not be fetched from {url}: {cause}; try again (it goes on where it stopped), try "
        f"--mirror, or put the file into {part.parent} by hand"
    )


def _fetch_rest(url: str, part: Path, entry: Checkpoint, options: FetchOptions) -> bool:
    """Append what is missing; True when everything is there."""
    have = part.stat().st_size if part.is_file() else 0
    if have > entry.size_bytes:
        part.unlink()
        have = 0
    if have == entry.size_bytes:
        return True
    request = urllib.request.Request(url, headers={"User-Agent": "sadtalker", "Range": f"bytes={have}-"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - address() allows http(s) only
        resumed = answer.status == PARTIAL
        with part.open("ab" if resumed else "wb") as file:
            return _copy(answer, file, have if resumed else 0, (entry, options))


def _copy(answer: Any, file: IO[bytes], done: int, task: tuple[Checkpoint, FetchOptions]) -> bool:  # noqa: ANN401
    entry, options = task
    while done < entry.size_bytes:
        block = answer.read(min(BLOCK_BYTES, entry.size_bytes - done))
        if not block:
            break
        file.write(block)
        done += len(block)
        options.report(done, entry.size_bytes)
    file.flush()
    os.fsync(file.fileno())
    return done == entry.size_bytes


def _verify(part: Path, entry: Checkpoint, url: str) -> None:
    found = file_sha256(part)
    if found != entry.sha256:
        part.unlink()
        raise WeightsError(
            f"{entry.name} from {url} is not the published file (sha256 {found[:12]}..., expected "
            f"{entry.sha256[:12]}...); it was removed, try another mirror"
        )
