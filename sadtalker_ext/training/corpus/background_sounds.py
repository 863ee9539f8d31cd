"""Synthetic background audio: coloured noise and music."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array, Samples

_LOOP_SAMPLES: Final = 1 << 18
"""Noise and music repeat after this many samples, 16 s, which bounds the time to make them."""
_MAX_PARTIALS: Final = 8
_ATTACK_S: Final = 0.01


def make_noise(count: int, random: np.random.Generator) -> Samples:
    """Return noise (count,) of RMS 1 with a power of ``1 / f^c``, c in [0, 2].

    Half of the time its amplitude swells and fades, and in 3 of 10 it has mains hum.
    """
    spectrum = np.fft.rfft(random.standard_normal(_LOOP_SAMPLES))
    frequency = np.maximum(np.arange(len(spectrum)) / len(spectrum), 1e-3)
    noise = np.resize(np.fft.irfft(spectrum * frequency ** (-random.uniform(0, 1)), _LOOP_SAMPLES), count)
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    if random.random() < 0.5:
        noise *= 1 + 0.7 * np.sin(2 * np.pi * (random.uniform(0.1, 3) * times_s + random.random()))
    if random.random() < 0.3:
        base_hz = random.choice([50.0, 60.0, 100.0])
        hum = sum(np.sin(2 * np.pi * base_hz * k * times_s) / k for k in range(1, 8))
        noise += np.std(noise) * hum
    return np.asarray(noise / (np.std(noise) + 1e-9), np.float32)


def make_music(count: int, random: np.random.Generator) -> Samples:
    """Return music (count,) of RMS 1: chords of decaying notes with harmonics on a regular beat, and noise drums."""
    beat_s = random.uniform(0.25, 0.7)
    length = min(count, _LOOP_SAMPLES)
    result = np.zeros(length)
    beat = int(beat_s * SAMPLE_RATE_HZ)
    times_s = np.arange(4 * beat) / SAMPLE_RATE_HZ
    brightness, decay_per_s = random.uniform(0.3, 1.2), random.uniform(0.5, 6)
    for start in range(0, length, beat):
        for _ in range(int(random.integers(1, 4))):
            pitch_hz = 55 * 2 ** (random.integers(0, 48) / 12)
            note = _note(pitch_hz, times_s, brightness, decay_per_s)
            result[start : start + len(note)] += note[: length - start]
        if random.random() < 0.4:
            drum = random.standard_normal(beat) * np.exp(-random.uniform(8, 40) * times_s[:beat])
            result[start : start + beat] += 1.5 * drum[: length - start]
    return np.asarray(np.resize(result / (np.std(result) + 1e-9), count), np.float32)


def _note(pitch_hz: float, times_s: Float64Array, brightness: float, decay_per_s: float) -> Float64Array:
    """Return a decaying tone; its harmonic k has the amplitude ``k^(-1 / brightness)``."""
    partials = [k for k in range(1, _MAX_PARTIALS + 1) if k * pitch_hz < SAMPLE_RATE_HZ / 2]
    tone = sum(np.sin(2 * np.pi * k * pitch_hz * times_s) * k ** (-1 / brightness) for k in partials)
    note: Float64Array = tone * np.exp(-decay_per_s * times_s) * np.minimum(1, times_s / _ATTACK_S)
    return note
