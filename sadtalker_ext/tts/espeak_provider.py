"""Voices of espeak-ng: formant synthesis in more than a hundred languages, without any voice file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import MissingPackageError
from sadtalker_ext.tts.espeak_process import synthesise_in_subprocess
from sadtalker_ext.tts.provider import Voice

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Samples

NAME: Final = "espeak-ng"
DEFAULT_LANGUAGE: Final = "en-us"


class EspeakProvider:
    """Voices are named by the code of their language; a variant such as ``en-us+f2`` is accepted, too."""

    name = NAME

    def voices(self, folders: Sequence[Path]) -> list[Voice]:
        """Return one voice for each language, American English first; none if the library is not installed."""
        from sadtalker_ext.tts.espeak_library import list_voices

        try:
            found = list_voices()
        except MissingPackageError:
            return []
        voices: dict[str, Voice] = {}
        for voice in found:  # some languages have a second voice for another script
            voices.setdefault(voice.language, Voice(voice.language, NAME, voice.language, f"{voice.name}, synthetic"))
        return sorted(voices.values(), key=lambda voice: voice.name != DEFAULT_LANGUAGE)

    def open(self, voice: Voice, rate: float) -> EspeakReader:
        """Open a voice; ``rate`` is its speed, 1 is normal."""
        return EspeakReader(voice, rate)


class EspeakReader:
    """Reads with one voice."""

    def __init__(self, voice: Voice, rate: float) -> None:
        from sadtalker_ext.tts.espeak_library import NORMAL_RATE_WPM, RATE_LIMITS_WPM, library_rate_hz

        slowest, fastest = RATE_LIMITS_WPM
        self._rate_wpm = min(max(round(NORMAL_RATE_WPM * rate), slowest), fastest)
        self._voice = voice.name
        self.rate_hz = library_rate_hz()

    def read(self, text: str) -> Iterator[Samples]:
        """Yield the speech of ``text``, with a pause at the end of each sentence."""
        yield synthesise_in_subprocess(self._voice, text, self._rate_wpm)
