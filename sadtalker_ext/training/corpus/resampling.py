"""Resampling of audio for the corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Samples


def resample_to_16k(samples: Samples, rate_hz: int) -> Samples:
    """Return mono samples (N,) of rate ``rate_hz`` as (M,) float32 samples at 16 kHz, M = ceil(N * 16000 / rate_hz)."""
    if rate_hz == SAMPLE_RATE_HZ:
        return samples
    import librosa

    return np.asarray(librosa.resample(samples, orig_sr=rate_hz, target_sr=SAMPLE_RATE_HZ), np.float32)
