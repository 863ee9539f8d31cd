"""Decoding of sound to samples at 16 kHz, in blocks."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import numpy as np

from sadtalker_ext.arrays import Samples
from sadtalker_ext.constants import REPAIR_FILTER, SAMPLE_RATE_HZ
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, container_error, read_blocks
from sadtalker_ext.sound_source import SoundSource

MAX_BLOCK_BYTES: Final = 1 << 26
"""Largest block of memory of ffmpeg; sound needs less than a megabyte, the cover picture of a file some megabytes.

A sample rate that falls to 1 Hz within a file would make blocks of gigabytes.
"""


def decode(
    source: SoundSource, role: str, size: int, *, repair: bool = False, mono: bool = True
) -> Generator[Samples, None, None]:
    """Yield ``size`` float32 values at a time: mono samples, or those of all channels in turn if not ``mono``.

    repair: replace samples that are NaN, infinite or far beyond full scale. MediaError if ffmpeg fails.
    """
    for data in _decode_bytes(source, role, size * 4, _filters(repair=repair, mono=mono)):
        yield np.frombuffer(data, "<f4", count=len(data) // 4).astype(np.float32, copy=False)


def _filters(*, repair: bool, mono: bool) -> str:
    """Return the filters of each part of the sound.

    Timestamps are ignored here and in the audio track of the result: audio is one sample after the other.
    ``rematrix_maxval`` makes the mono mix an average for float files too, which ffmpeg would otherwise sum;
    ``filter_size`` brings the mel features within 0.01 of librosa's resampler (soxr_hq). Repairs come before the
    resampler, which would spread damaged samples.
    """
    repairing = f"{REPAIR_FILTER}," if repair else ""
    mixing = ",aformat=channel_layouts=mono" if mono else ""
    return f"{repairing}asetpts=N/SR/TB,aresample={SAMPLE_RATE_HZ}:rematrix_maxval=1.0:filter_size=64{mixing}"


def _decode_bytes(source: SoundSource, role: str, size: int, filters: str) -> Generator[bytes, None, None]:
    file = FileRef(role, source.path)
    arguments = [*source.inputs(), *source.output(0, filters), "-c:a", "pcm_f32le", "-f", "f32le", "-"]
    limits = ["-max_alloc", str(MAX_BLOCK_BYTES)]
    with Ffmpeg(["-v", "error", *limits, *arguments], ("Reading the ", file)) as process:
        yield from read_blocks(process.stdout, size)
        if process.finish() != 0:
            if process.refused_container():
                raise container_error(source.path, role)
            raise _decoding_error(file, process.last_message())


def _decoding_error(file: FileRef, message: str) -> MediaError:
    if "matches no streams" in message or "does not contain any stream" in message:
        return MediaError("The ", file, " has no audio: choose an audio file or a video with audio")
    return MediaError("The ", file, f" cannot be read (ffmpeg: {message}): export it again, for example as WAV or MP3")
