"""The mel spectrogram SadTalker's networks were trained on, in plain NumPy.

Values follow the official pipeline (hparams of Wav2Lip): pre-emphasis, centred STFT padded with zeros, 80 Slaney
bands, decibels scaled to [-4, 4]; 80 columns a second. The golden numbers of the official code test it to 1e-4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16000
MEL_BANDS = 80
MEL_RATE_HZ = 80
"""Columns a second: one every ``HOP`` samples."""
HOP = 200
FFT_SIZE = 800
PRE_EMPHASIS = 0.97
LOWEST_HZ = 55.0
HIGHEST_HZ = 7600.0
REFERENCE_DB = 20.0
FLOOR_DB = -100.0
FLOOR_AMPLITUDE = 10.0 ** (FLOOR_DB / 20.0)
MEL_LIMIT = 4.0
"""The decibels from the floor to 0 are spread over [-4, 4]; digital silence is -4."""
SAMPLES_AT_ONCE = 256 * HOP
"""Bounds the working memory to some 5 MB, however long the blocks are."""


def mel_spectrogram(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) mono samples at 16 kHz in [-1, 1] to (80, 1 + N // 200) mel values in [-4, 4]."""
    return np.concatenate(list(stream_mel([samples])), axis=1)


def stream_mel(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Consecutive blocks of samples to consecutive (80, t) columns, the same as of the whole wave at once.

    What is kept between blocks is one window of samples. N samples in all give 1 + N // 200 columns, at least one.
    """
    half = FFT_SIZE // 2
    waiting, last = np.zeros(half), 0.0
    total = made = 0
    for part in _parts(blocks):
        wave = np.asarray(part, np.float64)
        emphasised = wave - PRE_EMPHASIS * np.concatenate([[last], wave[:-1]])
        last, total = float(wave[-1]), total + len(wave)
        waiting = np.concatenate([waiting, emphasised])
        count = max(0, (len(waiting) - FFT_SIZE) // HOP + 1)
        if count:
            yield _columns(waiting, count)
        made, waiting = made + count, waiting[count * HOP :]
    yield _columns(np.concatenate([waiting, np.zeros(half)]), 1 + total // HOP - made)


def _parts(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        for start in range(0, len(block), SAMPLES_AT_ONCE):
            yield block[start : start + SAMPLES_AT_ONCE]


def _columns(wave: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """(80, count) mel columns of the first ``count`` >= 1 windows of ``wave``."""
    windows = np.lib.stride_tricks.sliding_window_view(wave, FFT_SIZE)[::HOP][:count]
    spectrum = np.abs(np.fft.rfft(windows * hann_window(), axis=1))
    decibels = 20.0 * np.log10(np.maximum(FLOOR_AMPLITUDE, mel_basis() @ spectrum.T)) - REFERENCE_DB
    scaled = 2 * MEL_LIMIT * (decibels - FLOOR_DB) / -FLOOR_DB - MEL_LIMIT
    mel: NDArray[np.float32] = np.clip(scaled, -MEL_LIMIT, MEL_LIMIT).astype(np.float32)
    return mel


@lru_cache(maxsize=1)
def hann_window() -> NDArray[np.float64]:
    """(800,) periodic Hann window."""
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE)
    return window


@lru_cache(maxsize=1)
def mel_basis() -> NDArray[np.float64]:
    """(80, 401) triangular filters over the FFT's bins, each of unit area (Slaney, Auditory Toolbox, 1998)."""
    edges_hz = _mel_to_hz(np.linspace(_hz_to_mel(LOWEST_HZ), _hz_to_mel(HIGHEST_HZ), MEL_BANDS + 2))
    bins_hz = np.arange(FFT_SIZE // 2 + 1) * SAMPLE_RATE_HZ / FFT_SIZE
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    triangles = np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre))
    basis: NDArray[np.float64] = np.maximum(0.0, triangles) * 2.0 / (high - low)
    return basis


_LINEAR_HZ = 200.0 / 3.0
"""Slaney's mel scale: linear steps of 66.7 Hz up to 1000 Hz, then 27 steps for each factor of 6.4."""
_CORNER_HZ = 1000.0
_LOG_STEP = math.log(6.4) / 27.0


def _hz_to_mel(frequency_hz: float) -> float:
    if frequency_hz < _CORNER_HZ:
        return frequency_hz / _LINEAR_HZ
    return _CORNER_HZ / _LINEAR_HZ + math.log(frequency_hz / _CORNER_HZ) / _LOG_STEP


def _mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    corner = _CORNER_HZ / _LINEAR_HZ
    above: NDArray[np.float64] = _CORNER_HZ * np.exp(_LOG_STEP * (mels - corner))
    return np.where(mels < corner, mels * _LINEAR_HZ, above)
