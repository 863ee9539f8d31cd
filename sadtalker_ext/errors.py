"""Errors that this package raises on purpose.

A message names the thing, the value and the remedy in one or two sentences for users. Every front end (command line,
REST, web UI) catches :class:`SadTalkerError` in one place and shows its message; any other exception is a bug.

A message that names one of the user's files contains a :class:`FileRef`, so that a front end which stores uploads
under temporary names can show the name the user knows::

    raise MediaError("The ", FileRef("voice", path), " is silent; choose another file")

    str(error)                              # The voice /tmp/3f2a.wav is silent; choose another file
    error.describe({path: "hello.mp3"})     # The voice hello.mp3 is silent; choose another file
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_MESSAGE: Final = 1200
"""Characters of a message; of longer ones, which repeat a long name or value, the middle is omitted."""
_LINE_ENDS: Final = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters of terminals, changes of the writing direction, and bytes of file names that are no text."""


@dataclass(frozen=True)
class FileRef:
    """A file in an error message.

    role: what the file is for the user: portrait, voice, reference, output, picture, video, audio file.
    path: where the program found it.
    """

    role: str
    path: Path

    def __str__(self) -> str:
        return f"{self.role} {self.path}"

    def describe(self, names: Mapping[Path, str]) -> str:
        """Return the role and the file's display name; only the role if the display name is empty."""
        name = names.get(self.path)
        if name is None:
            name = next((shown for path, shown in names.items() if path.resolve() == self.path.resolve()), None)
        return str(self) if name is None else f"{self.role} {name}".strip()


class SadTalkerError(Exception):
    """Base class of errors caused by user input, files or the machine.

    parts: text and :class:`FileRef` items; joined, they form the message.
    """

    def __init__(self, *parts: str | FileRef) -> None:
        super().__init__(*parts)
        self.parts = parts

    def __str__(self) -> str:
        return one_line("".join(str(part) for part in self.parts))

    def describe(self, names: Mapping[Path, str]) -> str:
        """Return the message with every file in ``names`` shown by its display name instead of its path."""
        return one_line("".join(part.describe(names) if isinstance(part, FileRef) else part for part in self.parts))


def one_line(text: str) -> str:
    """Return a message as one line of at most :data:`MAX_MESSAGE` printable characters.

    Names and values in it come from users and files, and could otherwise control a terminal or hide the message.
    """
    text = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], _LINE_ENDS.sub(" ", text))
    if len(text) <= MAX_MESSAGE:
        return text
    half = MAX_MESSAGE // 2 - 2
    return f"{text[:half]}...{text[-half:]}"


class SettingsError(SadTalkerError):
    """A setting is unknown, out of range, or not supported by the chosen engine."""


class MediaError(SadTalkerError):
    """A picture, audio file or video cannot be read or written."""


class ContainerError(MediaError):
    """A file names other files or addresses, such as a playlist, or is in a container that is not read."""


class StalledError(MediaError):
    """ffmpeg made no progress for so long that it was stopped."""


class FaceError(SadTalkerError):
    """No usable face was found, or the chosen face does not exist."""


class WeightsError(SadTalkerError):
    """A checkpoint is missing, truncated, of another model, or malformed."""


class EngineError(SadTalkerError):
    """An engine cannot be opened or cannot do what was requested."""


class MissingPackageError(SadTalkerError):
    """An optional package or program that the command needs is not installed."""


class Cancelled(SadTalkerError):  # noqa: N818 - a request of the user, not a failure
    """The user stopped the job; no partial output remains."""
