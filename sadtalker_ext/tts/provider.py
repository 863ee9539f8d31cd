"""The protocol of text-to-speech providers.

To add a provider, write a class with the methods of :class:`SpeechProvider` and name it in ``tts/voices.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Samples


@dataclass(frozen=True)
class Voice:
    """A voice that reads text aloud.

    name: the value of the setting ``tts_voice``. provider: name of its provider. language: code such as ``en-us``.
    label: description for users. path: the file of the voice, or None.
    """

    name: str
    provider: str
    language: str
    label: str
    path: Path | None = None


class Reader(Protocol):
    """An open voice. rate_hz: sample rate."""

    rate_hz: int

    def read(self, text: str) -> Iterator[Samples]:
        """Yield the speech of a short text: mono float32 samples in [-1, 1], one array per sentence or part of one."""
        ...


class SpeechProvider(Protocol):
    """A source of voices. name: for users."""

    name: str

    def voices(self, folders: Sequence[Path]) -> list[Voice]:
        """Return the voices that can be used now, the most suitable default first; nothing is downloaded.

        folders: checkpoint folders, which may contain files of voices.
        """
        ...

    def open(self, voice: Voice, rate: float) -> Reader:
        """Open a voice; MissingPackageError or WeightsError if that is not possible.

        rate: speed, 1 is normal. Readers of the same voice and rate give the same samples for the same texts.
        """
        ...
