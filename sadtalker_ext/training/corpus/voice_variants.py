"""Variants of recorded voices that recordings of speech lack: whispering, singing, shouting, high and low voices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.training.corpus.resampling import resample_to_16k

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float64Array, Samples

    Random = np.random.Generator

WINDOW: Final = 512
HOP: Final = 128
"""Samples of the analysis window and its step."""
LIFTER: Final = 40
"""Cepstral coefficients that describe the vocal tract; finer structure of the spectrum is that of the pitch."""
SHORTEST_NOTE_S, LONGEST_NOTE_S = 0.2, 1.2


def same_voice(_: Random, samples: Samples) -> Samples:
    """Return the samples as they are."""
    return samples


def high_voice(random: Random, samples: Samples) -> Samples:
    """Return a voice with higher pitch and formants, like that of a child."""
    return resample_to_16k(samples, round(SAMPLE_RATE_HZ * random.uniform(1.15, 1.4)))


def low_voice(random: Random, samples: Samples) -> Samples:
    """Return a voice with lower pitch and formants."""
    return resample_to_16k(samples, round(SAMPLE_RATE_HZ * random.uniform(0.76, 0.9)))


def whisper(random: Random, samples: Samples) -> Samples:
    """Return whispered speech: the vocal tract of the samples, excited by noise."""
    return _revoice(samples, random.normal(size=len(samples)), 1.0)


def sing(random: Random, samples: Samples) -> Samples:
    """Return the samples sung on random notes, slower, with vibrato."""
    slower = random.uniform(1.0, 2.2)
    count = int(len(samples) * slower)
    pitch_hz: list[float] = []
    lowest_hz = random.uniform(90, 260)
    while len(pitch_hz) < count:
        length = int(random.uniform(SHORTEST_NOTE_S, LONGEST_NOTE_S) * SAMPLE_RATE_HZ)
        pitch_hz += [lowest_hz * 2 ** (random.integers(0, 15) / 12)] * length
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    vibrato = 1 + random.uniform(0, 0.025) * np.sin(2 * np.pi * random.uniform(4.5, 6.5) * times_s)
    glide = np.convolve(pitch_hz[:count], np.ones(641) / 641, mode="same") * vibrato
    phase = np.cumsum(glide) / SAMPLE_RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.02 * random.normal(size=count)
    return _revoice(samples, pulses, slower)


def shout(random: Random, samples: Samples) -> Samples:
    """Return a loud, strained voice: higher, brighter, and overdriven."""
    higher = resample_to_16k(samples, round(SAMPLE_RATE_HZ * random.uniform(1.02, 1.12))).astype(np.float64)
    bright = higher - random.uniform(0.5, 0.9) * np.concatenate([[0.0], higher[:-1]])
    return np.asarray(np.tanh(random.uniform(2, 8) * bright / (np.abs(bright).max() + 1e-9)), np.float32)


VARIANTS: Final[dict[str, Callable[[Random, Samples], Samples]]] = {
    "as recorded": same_voice, "high": high_voice, "low": low_voice, "whispered": whisper, "sung": sing,
    "shouted": shout,
}  # fmt: skip


def _revoice(samples: Samples, excitation: Float64Array, slower: float) -> Samples:
    """Return the excitation (M,) with the spectral envelope of the samples (N,), M about N * slower; peak 0.5."""
    envelope = _envelope(_spectra(np.asarray(samples, np.float64)))
    source = _spectra(excitation)
    at = np.minimum(np.arange(len(source)) / slower, len(envelope) - 1).astype(np.intp)
    shaped = source / _envelope(source) * envelope[at]
    voiced = np.zeros(len(excitation) + WINDOW)
    for number, frame in enumerate(np.fft.irfft(shaped, axis=1) * np.hanning(WINDOW)):
        voiced[number * HOP : number * HOP + WINDOW] += frame
    voiced = voiced[: len(excitation)]
    return np.asarray(0.5 * voiced / max(float(np.abs(voiced).max()), 1e-9), np.float32)


def _spectra(samples: Float64Array) -> NDArray[np.complex128]:
    """Return the spectra (T, F) of windows of the samples."""
    padded = np.concatenate([samples, np.zeros(WINDOW)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.fft.rfft(frames * np.hanning(WINDOW), axis=1)


def _envelope(spectra: NDArray[np.complex128]) -> Float64Array:
    """Return the smooth magnitude (T, F) of spectra, from their first cepstral coefficients."""
    cepstrum = np.fft.irfft(np.log(np.abs(spectra) + 1e-7), axis=1)
    cepstrum[:, LIFTER:-LIFTER] = 0.0
    smooth: Float64Array = np.exp(np.fft.rfft(cepstrum, axis=1).real)
    return smooth
