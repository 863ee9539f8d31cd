"""When the sound of a video starts relative to its first picture.

Containers store a start time for each stream. Files that were cut or joined without encoding often have sound that
starts later or earlier than the picture. :func:`~sadtalker_ext.audio.speech.open_speech` ignores these times; a
comparison of sound and picture of one file must not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.errors import FileRef
from sadtalker_ext.ffmpeg import Ffmpeg, file_input, require_media

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

TIME_BASE: Final = re.compile(r"^#tb 0: (\d+)/(\d+)", re.MULTILINE)
FRAME: Final = re.compile(r"^0,\s*-?\d+,\s*(-?\d+),", re.MULTILINE)
"""Unit of the times, and presentation time of a frame, in ffmpeg's format framecrc."""
MAX_DELAY_S: Final = 3600.0
"""Larger differences are broken times, which are ignored."""


def sound_delay_s(path: Path, role: str = "video") -> float:
    """Return how much later the sound of a video starts than its picture; negative if it starts earlier.

    0 if the file has no picture or no sound, or its times are broken. role: name of the file in messages.
    """
    file = require_media(path, role)
    picture_s, sound_s = (_start_s(FileRef(role, file), stream) for stream in ("0:V:0", "0:a:0"))
    if picture_s is None or sound_s is None or abs(sound_s - picture_s) > MAX_DELAY_S:
        return 0.0
    return sound_s - picture_s


def align_sound(samples: NDArray[Any], delay_s: float, rate_hz: int = SAMPLE_RATE_HZ) -> NDArray[Any]:
    """Return samples (N,) that start with the picture: silence before late sound, early sound cut."""
    count = round(delay_s * rate_hz)
    if count < 0:
        return samples[-count:]
    return np.concatenate([np.zeros(count, samples.dtype), samples]) if count else samples


def _start_s(file: FileRef, stream: str) -> float | None:
    """Return the time of the first decoded frame of a stream; None if there is none."""
    output = ["-map", stream, "-frames", "1", "-f", "framecrc", "-"]
    with Ffmpeg(["-v", "error", "-copyts", *file_input(file.path), *output], ("Reading the ", file)) as process:
        text = process.stdout.read().decode("utf-8", "replace")
        process.finish()
    unit, frame = TIME_BASE.search(text), FRAME.search(text)
    if unit is None or frame is None:
        return None
    return int(frame[1]) * int(unit[1]) / int(unit[2])
