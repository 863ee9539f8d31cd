"""Rates and limits that several packages share."""

from typing import Final

FRAME_RATE_HZ: Final = 25.0
"""Motion is sampled at 25 frames per second (SadTalker, Zhang et al. 2023, section 3.1)."""

SAMPLE_RATE_HZ: Final = 16_000
"""Sample rate of the mono audio that every network reads."""

SAMPLES_PER_FRAME: Final = 640
"""Audio samples per motion frame: ``SAMPLE_RATE_HZ / FRAME_RATE_HZ``."""

MIN_CLIP_S: Final = 0.2
"""Shortest voice or idle clip, seconds."""

MAX_CLIP_S: Final = 7200.0
"""Longest voice or idle clip, seconds."""
