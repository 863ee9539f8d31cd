"""Mel-frequency cepstral coefficients of speech, the input of SyncNet.

Values are those of python_speech_features with its default options, which the authors of SyncNet use: windows of
25 ms every 10 ms without a taper, 26 triangular filters, 13 liftered coefficients; the first is the log energy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float64Array

MFCC_RATE_HZ: Final = 100
COEFFICIENTS: Final = 13
WINDOW: Final = 400
STEP: Final = 160
"""Samples of a window and between windows."""
FFT_SIZE: Final = 512
FILTERS: Final = 26
PRE_EMPHASIS: Final = 0.97
LIFTER: Final = 22
"""Length of the sine that weights the coefficients (Young et al., The HTK Book)."""


def mfcc(samples: NDArray[np.integer[Any]] | Float64Array) -> Float64Array:
    """Return the coefficients (1 + ceil((N - 400) / 160), 13) of mono samples (N,) at 16 kHz.

    The values depend on the level: samples have the range of 16-bit integers. The last window is filled up with zeros.
    """
    wave = np.asarray(samples, np.float64)
    emphasised = np.concatenate([wave[:1], wave[1:] - PRE_EMPHASIS * wave[:-1]])
    count = 1 + max(0, -(-(len(wave) - WINDOW) // STEP))
    padded = np.pad(emphasised, (0, max(0, (count - 1) * STEP + WINDOW - len(wave))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP][:count]
    power = np.abs(np.fft.rfft(windows, FFT_SIZE)) ** 2 / FFT_SIZE
    energy, bands = power.sum(axis=1), power @ mel_filters().T
    coefficients: Float64Array = (np.log(_without_zeros(bands)) @ _cosines().T) * _lifter()
    coefficients[:, 0] = np.log(_without_zeros(energy))
    return coefficients


@lru_cache(1)
def mel_filters() -> Float64Array:
    """Return the triangular filters (26, 257), whose edges lie on bins of the spectrum."""
    top = 2595.0 * np.log10(1.0 + SAMPLE_RATE_HZ / 2 / 700.0)
    edges_hz = 700.0 * (10.0 ** (np.linspace(0.0, top, FILTERS + 2) / 2595.0) - 1.0)
    edges = np.floor((FFT_SIZE + 1) * edges_hz / SAMPLE_RATE_HZ)
    bins = np.arange(FFT_SIZE // 2 + 1)
    filters = np.zeros((FILTERS, len(bins)))
    for row, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rising, falling = (bins >= low) & (bins < middle), (bins >= middle) & (bins < high)
        filters[row, rising] = (bins[rising] - low) / (middle - low)
        filters[row, falling] = (high - bins[falling]) / (high - middle)
    return filters


@lru_cache(1)
def _cosines() -> Float64Array:
    """Return the orthonormal discrete cosine transform (13, 26) of type 2."""
    angles = np.pi * np.arange(COEFFICIENTS)[:, None] * (2 * np.arange(FILTERS) + 1) / (2 * FILTERS)
    scaled = np.cos(angles) * np.sqrt(2.0 / FILTERS)
    scaled[0] *= np.sqrt(0.5)
    transform: Float64Array = scaled
    return transform


def _without_zeros(values: Float64Array) -> Float64Array:
    positive: Float64Array = np.where(values == 0, np.finfo(np.float64).eps, values)
    return positive


def _lifter() -> Float64Array:
    lifter: Float64Array = 1.0 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
    return lifter
