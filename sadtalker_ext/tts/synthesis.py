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


def write_speech(text: str, reader: Reader, path: Path, report: Callable[[int, int], None]) -> None:
    """Write the speech of ``text`` to a 16-bit mono WAV file.

    report: called with the number of finished parts and of all parts, at the start and after each part; its exceptions
    end the synthesis. SettingsError if the text cannot be read aloud; MediaError if its speech is longer than the
    longest voice.
    """
    parts = split_text(clean_text(text))
    peak, seconds = 0.0, 0.0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(reader.rate_hz)
        file.writeframes(bytes(2 * round(LEAD_IN_S * reader.rate_hz)))
        report(0, len(parts))
        for done, part in enumerate(parts, start=1):
            for samples in reader.read(part):
                file.writeframes(_to_bytes(samples))
                peak = max(peak, float(abs(samples).max(initial=0.0)))
                seconds += len(samples) / reader.rate_hz
                if seconds > MAX_CLIP_S:
                    raise MediaError(
                        f"The speech of the text is longer than {MAX_CLIP_S / 3600:.0f} hours; divide the text"
                    )
            report(done, len(parts))
    if peak < AUDIBLE:
        raise SettingsError("The voice reads nothing of the text aloud; choose a voice of the text's language")


def _to_bytes(samples: Samples) -> bytes:
    import numpy as np

    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()
