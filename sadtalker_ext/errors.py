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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


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
        return "".join(str(part) for part in self.parts)

    def describe(self, names: Mapping[Path, str]) -> str:
        """Return the message with every file in ``names`` shown by its display name instead of its path."""
        return "".join(part.describe(names) if isinstance(part, FileRef) else part for part in self.parts)


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
