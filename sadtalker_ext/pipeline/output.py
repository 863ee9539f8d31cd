"""Where a result goes: checked before the long work begins, and left as it was if the work fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from sadtalker_ext.errors import MediaError
from sadtalker_ext.system.atomic_output import check_target
from sadtalker_ext.video.write import SUFFIX, check_place

LONGEST_STEM = 80
LONGEST_STEM_BYTES = 100
"""So that two stems and a number fit into 255 bytes, the longest name of most file systems."""


def check_output(path: Path, inputs: tuple[Path, ...]) -> None:
    """Refuse an output that could not be written, or that would destroy one of the inputs."""
    try:
        _check(path, inputs)
    except OSError as e:
        place = e.filename or path.parent
        raise MediaError(f"The output {path} cannot be written ({place}: {e.strerror}); choose another place") from e


def _check(path: Path, inputs: tuple[Path, ...]) -> None:
    check_place(path, inputs)
    final = check_target(path)
    if final.exists() and not os.access(final, os.W_OK):
        raise MediaError(f"The output {path} exists and may not be overwritten; choose another name")
    folder = next(folder for folder in (path.parent, *path.parent.parents) if folder.exists())
    for name in path.parts[len(folder.parts) :]:
        with suppress(FileNotFoundError):
            os.lstat(folder / name)  # refuses names that are too long, in folders that are still to be made
    with tempfile.TemporaryFile(dir=folder if final == path else final.parent):
        pass


@contextmanager
def output_folder(path: Path) -> Iterator[None]:
    """Make the folders that ``path`` needs; if the work inside fails, those that were made are removed again."""
    missing = list(takewhile(lambda folder: not folder.exists(), (path.parent, *path.parent.parents)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise MediaError(f"The folder {path.parent} cannot be made ({e.strerror}); choose another one") from e
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def short_stem(stem: str) -> str:
    """The beginning of ``stem``: at most 80 characters and at most 100 bytes as the file system stores them."""
    short = stem[:LONGEST_STEM]
    while len(os.fsencode(short)) > LONGEST_STEM_BYTES:
        short = short[:-1]
    return short


def free_name(folder: Path, stem: str, taken: set[Path]) -> Path:
    """``folder/stem.mp4``, with a number added while that is taken by an earlier result or in ``taken``."""
    path, number = folder / f"{stem}{SUFFIX}", 2
    while path.exists() or path in taken:
        path, number = folder / f"{stem}_{number}{SUFFIX}", number + 1
    return path


def dated_output(folder: Path, stem: str) -> Path:
    """A free name for a new video in the folder of today: ``folder/2026-01-31/stem_153012_417.mp4``."""
    now = datetime.now().astimezone()
    day, time = now.strftime("%Y-%m-%d"), now.strftime("%H%M%S_%f")[:-3]
    return free_name(folder / day, f"{short_stem(stem)}_{time}", set())
