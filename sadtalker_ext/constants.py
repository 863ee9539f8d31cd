"""Rates and limits that several packages share."""

from typing import Final

FRAME_RATE_HZ: Final = 25.0
"""Motion is sampled at 25 frames per second (SadTalker, Zhang et al. 2023, section 3.1)."""

SAMPLE_RATE_HZ: Final = 16_000
"""Sample rate of the mono audio that every network reads."""

SAMPLES_PER_FRAME: Final = 640
"""Audio samples per motion frame: ``SAMPLE_RATE_HZ / FRAME_RATE_HZ``."""

MAX_SAMPLE: Final = 65536.0
"""Largest magnitude that a sample can mean: files of floats that hold 16-bit integers reach 32768."""

SILENT_PEAK: Final = 1e-4
"""Audio whose peak stays below this part of full scale (-80 dB) is silence with dither."""

REPAIR_FILTER: Final = f"aeval='if(lte(abs(val(ch)),{MAX_SAMPLE:.0f}),val(ch),0)':c=same"
"""ffmpeg filter that replaces samples which are NaN, infinite or beyond :data:`MAX_SAMPLE` by zeros.

The resampler would spread them, and the AAC encoder refuses them. It takes 8 s per hour and channel, so it is applied
only where such samples can occur.
"""

MIN_CLIP_S: Final = 0.2
"""Shortest voice or idle clip, seconds."""

MAX_CLIP_S: Final = 7200.0
"""Longest voice or idle clip, seconds."""

LIP_VIDEO_S: Final = 60.0
"""Length from the start of each video that ``train lip_motion`` uses, seconds: speakers count more than minutes."""
