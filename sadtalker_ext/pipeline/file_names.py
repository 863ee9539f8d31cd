"""Display names of uploaded files."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

LONGEST_NAME: Final = 80


def display_name(filename: str | None) -> str:
    """Return the last part of a client's file name, without folders and unprintable characters, for messages."""
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[:LONGEST_NAME].strip()
