"""Level, voicing and pitch of speech at the frame rate of the video, block by block.

Pitch follows Boersma (1993), "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise
ratio of a sampled sound": the autocorrelation of a windowed segment divided by the autocorrelation of the window, here
of the band below 1 kHz, which contains the strongest harmonics of voices.

Own code: importing librosa.yin adds 1.7 s to the first frame (measured) and yields no voicing; librosa.pyin, which
does, takes 30 times as long. tests/audio/test_prosody.py compares with librosa.yin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from sadtalker_ext.arrays import Float32Array, Float64Array, Samples
from sadtalker_ext.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

WINDOW_SAMPLES = 1024
"""64 ms, about four periods of the lowest pitch."""
PITCH_RANGE_HZ = (65.0, 500.0)
VOICE_BAND_HZ = (100.0, 4000.0)
"""Band of the level."""
PITCH_BAND_HZ = (50.0, 1000.0)
"""Band of the autocorrelation."""
OCTAVE_COST = 0.06
"""Reduction of a peak's score per octave below the highest pitch; avoids subharmonics."""
SILENCE_DB = -100.0
_FFT_SAMPLES = 2 * WINDOW_SAMPLES
_GROUP_FRAMES = 128
"""Frames per FFT call, which limits the working memory."""
_LEAD_SAMPLES = (WINDOW_SAMPLES - SAMPLES_PER_FRAME) // 2


class FrameTracks(NamedTuple):
    """Level, voicing and pitch per video frame; all (T,) float32.

    level_db: level of the band from 100 Hz to 4 kHz in dB of full scale, at least -100.
    voicing: height of the strongest pitch peak of the autocorrelation in [0, 1]; 1 is a perfectly periodic signal.
    pitch_hz: pitch of that peak, 65 to 500 Hz, for every value of ``voicing``.
    """

    level_db: Float32Array
    voicing: Float32Array
    pitch_hz: Float32Array


def measure_frames(blocks: Iterable[Samples], frames: int | None = None) -> FrameTracks:
    """Measure level, voicing and pitch at 25 Hz from consecutive blocks of mono 16 kHz samples in [-1, 1].

    The result does not depend on the block size. The window of frame t is centred at (t + 0.5) / 25 s. With ``frames``
    the tracks are cut or padded with silence to that length.
    """
    parts = [_measure(group) for group in _windows(blocks, frames)]
    if not parts:
        parts = [_measure(np.zeros((max(frames or 0, 1), WINDOW_SAMPLES), np.float32))]
    level_db, voicing, pitch_hz = (np.concatenate([part[index] for part in parts]) for index in range(3))
    return FrameTracks(level_db, voicing, pitch_hz)


def _windows(blocks: Iterable[Float32Array], frames: int | None) -> Iterator[Float32Array]:
    """Yield groups (N, WINDOW_SAMPLES) of windows, N up to 128, with silence before and after the samples."""
    kept = np.zeros(_LEAD_SAMPLES, np.float32)
    done = 0
    samples = 0
    for block in blocks:
        samples += len(block)
        kept = np.concatenate([kept, np.asarray(block, np.float32)])
        count = (len(kept) - WINDOW_SAMPLES) // SAMPLES_PER_FRAME + 1
        if frames is not None:
            count = min(count, frames - done)
        if count > 0:
            yield from _group(kept, count)
            done += count
            kept = kept[count * SAMPLES_PER_FRAME :]
    total = frames if frames is not None else -(-samples // SAMPLES_PER_FRAME)
    if total > done:
        needed = (total - done - 1) * SAMPLES_PER_FRAME + WINDOW_SAMPLES
        tail = np.zeros(needed, np.float32)
        tail[: min(len(kept), needed)] = kept[:needed]
        yield from _group(tail, total - done)


def _group(samples: Float32Array, count: int) -> Iterator[Float32Array]:
    views = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::SAMPLES_PER_FRAME][:count]
    for start in range(0, count, _GROUP_FRAMES):
        yield views[start : start + _GROUP_FRAMES]


def _measure(windows: Float32Array) -> FrameTracks:
    """Return the tracks of windows (N, WINDOW_SAMPLES)."""
    taper = np.hanning(WINDOW_SAMPLES + 1)[:-1]
    spectrum = np.fft.rfft(windows * taper, _FFT_SAMPLES, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    hz = np.fft.rfftfreq(_FFT_SAMPLES, 1.0 / SAMPLE_RATE_HZ)
    voice = (hz >= VOICE_BAND_HZ[0]) & (hz <= VOICE_BAND_HZ[1])
    mean_square = 2.0 * power[:, voice].sum(axis=1) / (_FFT_SAMPLES * np.sum(taper**2))
    level_db = np.maximum(10.0 * np.log10(mean_square + 1e-12), SILENCE_DB)
    power[:, (hz < PITCH_BAND_HZ[0]) | (hz > PITCH_BAND_HZ[1])] = 0.0
    voicing, pitch_hz = _estimate_pitch(power, taper)
    return FrameTracks(level_db.astype(np.float32), voicing.astype(np.float32), pitch_hz.astype(np.float32))


def _estimate_pitch(power: Float64Array, taper: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return voicing in [0, 1] and pitch in hertz, each (N,), of power spectra (N, F)."""
    shortest = int(SAMPLE_RATE_HZ / PITCH_RANGE_HZ[1])
    longest = int(SAMPLE_RATE_HZ / PITCH_RANGE_HZ[0])
    correlation = np.fft.irfft(power, _FFT_SAMPLES, axis=1)[:, : longest + 2]
    window_correlation = np.fft.irfft(np.abs(np.fft.rfft(taper, _FFT_SAMPLES)) ** 2, _FFT_SAMPLES)[: longest + 2]
    ratio = correlation / (correlation[:, :1] + 1e-9) / (window_correlation / window_correlation[0])
    lags = np.arange(shortest, longest + 1)
    middle = ratio[:, lags]
    peak = (middle >= ratio[:, lags - 1]) & (middle >= ratio[:, lags + 1])
    score = np.where(peak, middle - OCTAVE_COST * np.log2(lags / shortest), -1.0)
    best = score.argmax(axis=1)
    rows = np.arange(len(ratio))
    lag = lags[best]
    left, top, right = ratio[rows, lag - 1], ratio[rows, lag], ratio[rows, lag + 1]
    curvature = left - 2.0 * top + right
    shift = np.where(curvature < -1e-9, 0.5 * (left - right) / np.minimum(curvature, -1e-9), 0.0)
    found = peak[rows, best]
    voicing = np.where(found, np.clip(top, 0.0, 1.0), 0.0)
    return voicing, SAMPLE_RATE_HZ / (lag + np.clip(shift, -0.5, 0.5))
