"""The mel spectrogram that SadTalker's networks were trained on.

Values follow the official pipeline (hparams of Wav2Lip): pre-emphasis, centred STFT with zero padding, 80 Slaney bands,
decibels scaled to [-4, 4], 80 columns per second. Tests compare with golden values of the official code to 1e-4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from sadtalker_ext.arrays import Float32Array, Float64Array, Samples
from sadtalker_ext.constants import SAMPLE_RATE_HZ

MEL_BANDS = 80
MEL_RATE_HZ = 80
"""Columns per second: one every ``HOP`` samples."""
HOP = 200
"""Step between columns in samples."""
FFT_SIZE = 800
PRE_EMPHASIS = 0.97
LOWEST_HZ = 55.0
HIGHEST_HZ = 7600.0
REFERENCE_DB = 20.0
FLOOR_DB = -100.0
FLOOR_AMPLITUDE = 10.0 ** (FLOOR_DB / 20.0)
MEL_LIMIT = 4.0
"""Decibels from the floor to 0 are scaled to [-4, 4]; digital silence is -4."""
MAX_BLOCK_SAMPLES = 256 * HOP
"""Longer blocks are split, which limits the working memory to about 5 MB."""


def mel_spectrogram(samples: Samples) -> Float32Array:
    """Return the mel values (80, 1 + N // 200) in [-4, 4] of mono samples (N,) at 16 kHz in [-1, 1]."""
    return np.concatenate(list(stream_mel([samples])), axis=1)


def stream_mel(blocks: Iterable[Samples]) -> Iterator[Float32Array]:
    """Yield the mel columns (80, t) of consecutive blocks of samples, equal to those of all samples at once.

    Keeps one window of samples between blocks. N samples in total give 1 + N // 200 columns, at least one.
    """
    half = FFT_SIZE // 2
    pending, last = np.zeros(half), 0.0
    total = done = 0
    for part in _split_blocks(blocks):
        wave = np.asarray(part, np.float64)
        emphasised = wave - PRE_EMPHASIS * np.concatenate([[last], wave[:-1]])
        last, total = float(wave[-1]), total + len(wave)
        pending = np.concatenate([pending, emphasised])
        count = max(0, (len(pending) - FFT_SIZE) // HOP + 1)
        if count:
            yield _mel_columns(pending, count)
        done, pending = done + count, pending[count * HOP :]
    yield _mel_columns(np.concatenate([pending, np.zeros(half)]), 1 + total // HOP - done)


def _split_blocks(blocks: Iterable[Samples]) -> Iterator[Samples]:
    for block in blocks:
        for start in range(0, len(block), MAX_BLOCK_SAMPLES):
            yield block[start : start + MAX_BLOCK_SAMPLES]


def _mel_columns(wave: Float64Array, count: int) -> Float32Array:
    """Return the mel columns (80, count) of the first ``count`` >= 1 windows of ``wave``."""
    windows = np.lib.stride_tricks.sliding_window_view(wave, FFT_SIZE)[::HOP][:count]
    spectrum = np.abs(np.fft.rfft(windows * hann_window(), axis=1))
    decibels = 20.0 * np.log10(np.maximum(FLOOR_AMPLITUDE, mel_basis() @ spectrum.T)) - REFERENCE_DB
    scaled = 2 * MEL_LIMIT * (decibels - FLOOR_DB) / -FLOOR_DB - MEL_LIMIT
    mel: Float32Array = np.clip(scaled, -MEL_LIMIT, MEL_LIMIT).astype(np.float32)
    return mel


@lru_cache(maxsize=1)
def hann_window() -> Float64Array:
    """Return the periodic Hann window (800,)."""
    window: Float64Array = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE)
    return window


@lru_cache(maxsize=1)
def mel_basis() -> Float64Array:
    """Return triangular filters (80, 401) over the FFT bins, each of unit area (Slaney, Auditory Toolbox, 1998).

    Own code: importing librosa.filters adds 0.9 s to the first frame (measured). The filters agree with those of
    librosa to 1e-7, see tests/audio/test_mel.py.
    """
    edges_hz = _mel_to_hz(np.linspace(_hz_to_mel(LOWEST_HZ), _hz_to_mel(HIGHEST_HZ), MEL_BANDS + 2))
    bins_hz = np.arange(FFT_SIZE // 2 + 1) * SAMPLE_RATE_HZ / FFT_SIZE
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    triangles = np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre))
    basis: Float64Array = np.maximum(0.0, triangles) * 2.0 / (high - low)
    return basis


_LINEAR_HZ = 200.0 / 3.0
"""Slaney's mel scale: linear steps of 66.7 Hz up to 1000 Hz, then 27 steps per factor of 6.4."""
_CORNER_HZ = 1000.0
_LOG_STEP = math.log(6.4) / 27.0


def _hz_to_mel(frequency_hz: float) -> float:
    if frequency_hz < _CORNER_HZ:
        return frequency_hz / _LINEAR_HZ
    return _CORNER_HZ / _LINEAR_HZ + math.log(frequency_hz / _CORNER_HZ) / _LOG_STEP


def _mel_to_hz(mels: Float64Array) -> Float64Array:
    corner = _CORNER_HZ / _LINEAR_HZ
    above: Float64Array = _CORNER_HZ * np.exp(_LOG_STEP * (mels - corner))
    return np.where(mels < corner, mels * _LINEAR_HZ, above)
