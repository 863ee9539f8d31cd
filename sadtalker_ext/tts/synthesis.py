"""Synthesis of a text to a WAV file, one part of the text after another."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.constants import MAX_CLIP_S
from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.tts.text_parts import clean_text, split_text

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Samples
    from sadtalker_ext.tts.provider import Reader

LEAD_IN_S: Final = 0.2
"""Silence before the first word, so that the mouth is seen closed before it opens."""
AUDIBLE: Final = 1e-3
"""Smallest peak of speech, relative to full scale."""


class SpeechFile:
    """A 16-bit mono WAV file that is written piece by piece; a context manager that closes it.

    count: samples so far. peak: their largest magnitude.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self.rate_hz, self.count, self.peak = rate_hz, 0, 0.0
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - closed at the end of the block
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(rate_hz)

    def __enter__(self) -> SpeechFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, samples: Samples) -> None:
        """Append speech; MediaError if the file becomes longer than the longest voice."""
        self._file.writeframes(_to_bytes(samples))
        self.count += len(samples)
        self.peak = max(self.peak, float(abs(samples).max(initial=0.0)))
        if self.count > (LEAD_IN_S + MAX_CLIP_S) * self.rate_hz:
            raise MediaError(f"The speech of the text is longer than {MAX_CLIP_S / 3600:.0f} hours; divide the text")

    def pad_to(self, count: int) -> None:
        """Append silence up to ``count`` samples."""
        missing = max(0, count - self.count)
        self._file.writeframes(bytes(2 * missing))
        self.count += missing

    def check_audible(self) -> None:
        """Raise SettingsError if all of the file is silent."""
        if self.peak < AUDIBLE:
            raise SettingsError("The voice reads nothing of the text aloud; choose a voice of the text's language")


def write_speech(text: str, reader: Reader, path: Path, report: Callable[[int, int], None]) -> float:
    """Write the speech of ``text`` to a 16-bit mono WAV file, and return its length in seconds.

    report: called with the number of finished parts and of all parts, at the start and after each part; its exceptions
    end the synthesis. SettingsError if the text cannot be read aloud; MediaError if its speech is longer than the
    longest voice.
    """
    parts = split_text(clean_text(text))
    with SpeechFile(path, reader.rate_hz) as file:
        file.pad_to(round(LEAD_IN_S * reader.rate_hz))
        report(0, len(parts))
        for done, part in enumerate(parts, start=1):
            for samples in reader.read(part):
                file.write(samples)
            report(done, len(parts))
    file.check_audible()
    return file.count / file.rate_hz


def _to_bytes(samples: Samples) -> bytes:
    import numpy as np

    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()
