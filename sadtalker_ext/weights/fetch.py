"""Download checkpoints: resumable, verified by hash, one process at a time, renamed into place when complete."""

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
from sadtalker_ext.system.path_problems import write_problem
from sadtalker_ext.weights.catalog import DEFAULT_MIRROR, Checkpoint, download_url
from sadtalker_ext.weights.check import file_sha256

BLOCK_BYTES = 1 << 18
ATTEMPTS = 4
RETRY_PAUSE_S = 1.0
TIMEOUT_S = 30.0
SPARE_BYTES = 50_000_000
"""Disk space that a download leaves free."""
HTTP_PARTIAL_CONTENT = 206


def _ignore_progress(_done: int, _total: int) -> None: ...


@dataclass(frozen=True)
class FetchOptions:
    """Options of :func:`fetch`.

    mirror: name of a mirror in the catalog, or a URL. report: called with (bytes done, total bytes); it may raise
    Cancelled, and the next fetch then resumes from the partial file. pause_s: seconds before the first retry; later
    pauses are longer.
    """

    mirror: str = DEFAULT_MIRROR
    report: Callable[[int, int], None] = _ignore_progress
    pause_s: float = RETRY_PAUSE_S


def fetch(entry: Checkpoint, folder: Path, options: FetchOptions = FetchOptions()) -> Path:
    """Download one checkpoint into ``folder`` and return its path; a file of the right size is kept."""
    url = download_url(entry, options.mirror)
    target = folder / entry.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(folder / f".{entry.name}.lock", entry.name):
            if target.is_file() and target.stat().st_size == entry.size_bytes:
                return target
            part = folder / f"{entry.name}.part"
            _check_space(entry, folder, part)
            _download(url, part, entry, options)
            _verify(part, entry, url)
            part.replace(target)
    except OSError as e:
        reason = write_problem(folder, e)
        raise WeightsError(f"{target} cannot be written ({reason}); choose another folder") from e
    return target


@contextmanager
def hold_lock(path: Path, name: str) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; the operating system releases it even if the process dies."""
    with path.open("a+b") as file:
        try:
            _acquire_lock(file)
        except OSError as e:
            raise WeightsError(f"{name} is being downloaded by another process; wait for it to finish") from e
        yield


def _acquire_lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _check_space(entry: Checkpoint, folder: Path, part: Path) -> None:
    done = part.stat().st_size if part.is_file() else 0
    free, needed = shutil.disk_usage(folder).free, entry.size_bytes - done + SPARE_BYTES
    if free < needed:
        raise WeightsError(
            f"{folder} has {free / 1e6:,.0f} MB free, {entry.name} needs {needed / 1e6:,.0f} MB; free some space or "
            "choose another folder"
        )


def _download(url: str, part: Path, entry: Checkpoint, options: FetchOptions) -> None:
    """Download into ``part``, resuming interrupted connections; WeightsError after :data:`ATTEMPTS` attempts."""
    cause = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(options.pause_s * attempt)
        try:
            if _resume(url, part, entry, options):
                return
            cause = f"the connection ended after {part.stat().st_size:,} of {entry.size_bytes:,} bytes"
        except urllib.error.HTTPError as e:
            cause = f"the server answered {e.code} {e.reason}"
            if 400 <= e.code < 500:
                break
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as e:
            cause = str(getattr(e, "reason", e)) or type(e).__name__
    raise WeightsError(
        f"{entry.name} could not be fetched from {url}: {cause}; try again (the download resumes), try another "
        f"mirror, or put the file into {part.parent} yourself"
    )


def _resume(url: str, part: Path, entry: Checkpoint, options: FetchOptions) -> bool:
    """Request the missing bytes and append them to ``part``; return whether the file is complete."""
    done = part.stat().st_size if part.is_file() else 0
    if done > entry.size_bytes:
        part.unlink()
        done = 0
    if done == entry.size_bytes:
        return True
    headers = {"User-Agent": "sadtalker", "Range": f"bytes={done}-"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - download_url() allows http(s) only
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
        resumed = response.status == HTTP_PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as file:
            return _copy_response(response, file, done if resumed else 0, (entry, options))


def _copy_response(
    response: Any, file: IO[bytes], done: int, task: tuple[Checkpoint, FetchOptions]  # noqa: ANN401
) -> bool:
    entry, options = task
    while done < entry.size_bytes:
        block = response.read(min(BLOCK_BYTES, entry.size_bytes - done))
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
            f"{entry.name} from {url} is not the published file (SHA-256 {found[:12]}..., expected "
            f"{entry.sha256[:12]}...); it was deleted, try another mirror"
        )
