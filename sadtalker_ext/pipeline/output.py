"""Output files: checked before the work begins, with folders that are removed again if it fails."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Final

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.system.atomic_output import check_target, write_failure
from sadtalker_ext.system.path_problems import make_folder, write_problem
from sadtalker_ext.system.portable_names import path_problem, portable_stem
from sadtalker_ext.video.write import SUFFIX, check_output_path

MIN_FREE_BYTES: Final = 1 << 20
"""Free space below which no video is begun; one second takes about 100 kB."""
MAX_STEM: Final = 80
MAX_STEM_BYTES: Final = 100
"""Two stems and a number fit into 255 bytes, the longest file name of most file systems."""


def check_output(path: Path, inputs: tuple[Path, ...], suffixes: tuple[str, ...] = (SUFFIX,)) -> None:
    """Raise MediaError if the output cannot be written, has another suffix, or would replace one of the inputs."""
    try:
        _check(path, inputs, suffixes)
    except OSError as e:
        raise MediaError(
            "The ",
            FileRef("output", path),
            f" cannot be written ({write_problem(path, e)}); choose another folder or name",
        ) from e


def _check(path: Path, inputs: tuple[Path, ...], suffixes: tuple[str, ...]) -> None:
    check_output_path(path, inputs, suffixes)
    problem = path_problem(path)
    if problem:
        raise MediaError("The ", FileRef("output", path), f" cannot be written ({problem}); choose another name")
    final = check_target(path)
    if final.exists() and not os.access(final, os.W_OK):
        raise MediaError("The ", FileRef("output", path), " exists and is read-only; choose another name")
    folder = next(folder for folder in (path.parent, *path.parent.parents) if folder.exists())
    for name in path.parts[len(folder.parts) :]:
        with suppress(FileNotFoundError):
            os.lstat(folder / name)  # fails for names that are too long, also in folders that do not exist yet
    place = folder if final == path else final.parent
    with tempfile.TemporaryFile(dir=place):
        pass
    disk = shutil.disk_usage(place)
    if disk.total and disk.free < MIN_FREE_BYTES:  # some network disks state 0 for both
        raise write_failure(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


@contextmanager
def output_folder(path: Path) -> Iterator[None]:
    """Create the folders that ``path`` needs; if the block fails, remove those that were created."""
    missing = list(takewhile(lambda folder: not folder.exists(), (path.parent, *path.parent.parents)))
    make_folder(path.parent)
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def short_stem(stem: str) -> str:
    """Return the beginning of ``stem``: at most 80 characters and at most 100 bytes in the file system's encoding.

    Characters that Windows does not allow are replaced, so that results can be moved to any disk.
    """
    short = portable_stem(stem)[:MAX_STEM]
    while len(os.fsencode(short)) > MAX_STEM_BYTES:
        short = short[:-1]
    return short


def free_name(folder: Path, stem: str, taken: Collection[Path] = (), suffix: str = SUFFIX) -> Path:
    """Return ``folder/stem.mp4``, with a number appended if that file exists or is in ``taken``."""
    path, number = folder / f"{stem}{suffix}", 2
    while path.exists() or path in taken:
        path, number = folder / f"{stem}_{number}{suffix}", number + 1
    return path


def dated_output(folder: Path, stem: str) -> Path:
    """Return a free name for a new video in a folder of the day, ``folder/2026-01-31/stem_153012_417.mp4``."""
    now = datetime.now().astimezone()
    day, time = now.strftime("%Y-%m-%d"), now.strftime("%H%M%S_%f")[:-3]
    return free_name(folder / day, f"{short_stem(stem)}_{time}")
