"""Check of all path arguments before a command starts."""

from __future__ import annotations

import errno
import os
import re
from itertools import pairwise, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import MediaError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

PATH_FLAGS = frozenset(
    ("--output", "--out", "--data", "--reference", "--settings-from", "--sheet", "--draw", "--folder")
)
"""Flags with two dashes whose value names a file or folder."""
SHOWN_NAME = 40
"""Characters of a name that the message repeats."""


def check_paths(options: argparse.Namespace) -> None:
    """Raise MediaError if a path in ``options`` contains a name that the file system cannot have.

    Methods of ``Path`` such as ``is_dir`` raise OSError for these names instead of returning False, at any place that
    first looks for the file.
    """
    for path in _paths(options):
        start = Path(path.anchor or ".")
        names = path.parts[1:] if path.anchor else path.parts
        for part in (*(start / name for name in names), path):
            try:
                os.lstat(part)
            except OSError as e:
                if e.errno == errno.ENAMETOOLONG:
                    _refuse(part.name if part is not path else str(path), e)


def check_words(arguments: Sequence[str]) -> None:
    """Raise MediaError if the name of a file is empty: a path would take it for the current folder.

    Only settings may be empty, after a flag with two dashes.
    """
    for before, word in pairwise(("", *arguments)):
        if word == "" and (before in PATH_FLAGS or not before.startswith("--")):
            raise MediaError(f"The argument after {before or 'sadtalker'} is empty; give the name of a file or folder")


def dashed_names(arguments: Sequence[str]) -> list[str]:
    """Return the arguments before ``--`` that start with a single dash but are names of files."""
    names = []
    for argument in takewhile(lambda word: word != "--", arguments):
        looks_like_file = re.fullmatch(r"-[^-=].*\.[A-Za-z][A-Za-z0-9]{1,4}/?", argument)
        if argument[:1] == "-" and argument[1:2] not in ("", "-") and (looks_like_file or os.path.lexists(argument)):
            names.append(argument)
    return names


def _paths(options: argparse.Namespace) -> Iterator[Path]:
    for value in vars(options).values():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, Path):
                yield item
            elif isinstance(item, str) and os.sep in item:  # settings may name a file, such as a restorer
                yield Path(item)


def _refuse(name: str, error: OSError) -> None:
    size = len(os.fsencode(name))
    raise MediaError(
        f"The name {name[:SHOWN_NAME]}... is too long ({size} bytes; most file systems allow 255 for a name and 4096 "
        "for a path); choose a shorter one"
    ) from error
