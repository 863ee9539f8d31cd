"""Files by the names that people know them by, not by the places where a page or a service keeps them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LONGEST_NAME = 80
_KIND = r"(?:\b[Tt]he (?:sound|voice|picture|portrait|video|reference|file|output) )?"
"""What our sentences say before a path; the name says it itself."""


def display_name(filename: str | None) -> str:
    """The name that a file had where it came from, without folders and signs that cannot be shown."""
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[:LONGEST_NAME].strip()


def with_display_names(text: str, names: Mapping[Path, str]) -> str:
    """Sentences with every path in ``names`` called by its name there, such as ``the voice hello.mp3``."""
    known = {spelt: name for path, name in names.items() for spelt in (str(path), str(path.resolve()))}
    for spelt in sorted(known, key=len, reverse=True):
        name = known[spelt]
        text = re.sub(_KIND + re.escape(spelt), lambda found, name=name: _fitting(found, name), text)  # type: ignore[misc]
    return text


def _fitting(found: re.Match[str], name: str) -> str:
    """The name with a capital letter where it begins a sentence."""
    begins = re.search(r"(?:^|[.!?]\s)$", found.string[: found.start()]) is not None
    return name[:1].upper() + name[1:] if begins else name
