"""Fast augmentation of log-mel spectrograms, drawn again for each batch.

All spectrograms are (M, 80) float32 natural log power at 100 Hz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.models.speech_to_expression import SILENCE_LOG_POWER

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

_NATS_PER_DB: Final = np.float32(np.log(10) / 10)
_ZERO: Final = np.float32(0.0)
_MEL_FRAME_S: Final = 0.01
_TEMPO_SPREAD: Final = 0.12
"""Standard deviation of the log tempo between crops."""
_MAX_TEMPO_VARIATION: Final = 0.25
"""Largest standard deviation of the log tempo within a crop."""
_CONTRAST_SPREAD: Final = 0.25
"""Standard deviation of the log factor on spectral contrast."""
_ENVELOPE_BANDS: Final = 9
"""Smallest width of the moving average that gives the spectral envelope, mel bands."""
_EFFORT_PER_DB: Final = 0.06
_EFFORT: Final = (0.4, 1.4)
"""Range of the factor on jaw and lip opening."""


def augment_mel(mel: Float32Array, random: np.random.Generator) -> Float32Array:
    """Return ``mel`` with random vocal tract, contrast, gain, reverberation, noise, lost bands and jitter."""
    if random.random() < 0.8:
        mel = _warp_bands(mel, random)
    if random.random() < 0.5:
        mel = _change_contrast(mel, random)
    mel = amplify(mel, np.full((len(mel), 1), random.uniform(-20, 6), np.float32))
    if random.random() < 0.35:
        mel = _add_reverberation(mel, random)
    if random.random() < 0.5:
        mel = _add_noise(mel, random)
    if random.random() < 0.4:
        width = int(random.integers(2, 14))
        first = int(random.integers(mel.shape[1] - width))
        mel = mel.copy()
        mel[:, first : first + width] = SILENCE_LOG_POWER
    jitter = random.standard_normal(mel.shape, np.float32)
    jitter *= np.float32(random.uniform(0, 0.25))
    return mel + jitter


def amplify(mel: Float32Array, gain_db: Float32Array) -> Float32Array:
    """Return ``mel`` (M, 80) with the gain (M, 1) in dB; digital silence stays silent."""
    louder: Float32Array = mel + np.where(mel > SILENCE_LOG_POWER + 1, gain_db * _NATS_PER_DB, _ZERO)
    return np.maximum(louder, np.float32(SILENCE_LOG_POWER), out=louder)


def random_time_warp(count: int, random: np.random.Generator) -> Float64Array:
    """Return increasing positions (count,) in mel frames from 0: a random tempo that varies from word to word."""
    spacing = int(random.integers(15, 60))
    variation = random.normal(0, random.uniform(0, _MAX_TEMPO_VARIATION), count // spacing + 2)
    knots = variation + random.normal(0, _TEMPO_SPREAD)
    tempo = np.exp(np.interp(np.arange(count - 1), np.arange(len(knots)) * spacing, np.clip(knots, -0.5, 0.5)))
    positions: Float64Array = np.concatenate([[0.0], np.cumsum(tempo)])
    return positions


def interpolate_frames(mel: Float32Array, positions: Float64Array) -> Float32Array:
    """Return ``mel`` (M, 80) at ``positions`` (count,) in frames, 0 to M - 1, by linear interpolation."""
    clipped = np.minimum(positions, len(mel) - 1.001)
    low = clipped.astype(np.int64)
    share = (clipped - low).astype(np.float32)[:, None]
    result: Float32Array = mel[low]
    result += share * (mel[low + 1] - result)
    return result


def random_gain_curve_db(count: int, random: np.random.Generator) -> Float32Array:
    """Return a gain (count,) in dB per mel frame that varies by some dB from word to word."""
    spacing = int(random.integers(25, 90))
    knots = random.normal(0, random.uniform(1, 5), count // spacing + 2)
    return np.interp(np.arange(count), np.arange(len(knots)) * spacing, np.clip(knots, -10, 6)).astype(np.float32)


def effort_factors(gain_db: Float32Array) -> Float32Array:
    """Return factors (T, 1) on jaw and lip opening for a gain (T,) in dB.

    6 % per dB: between soft and loud speech, 15 dB apart, the jaw movement about doubles (Schulman 1989,
    "Articulatory dynamics of loud and normal speech"; Geumann 2001).
    """
    factor: Float32Array = np.clip(1.0 + _EFFORT_PER_DB * gain_db, *_EFFORT)[:, None].astype(np.float32)
    return factor


def _warp_bands(mel: Float32Array, random: np.random.Generator) -> Float32Array:
    """Scale the band axis by one factor below a random band and by another above it.

    This is vocal tract length perturbation (Jaitly and Hinton 2013).
    """
    bands = mel.shape[1]
    knee = random.uniform(20, 50)
    low_factor, high_factor = np.exp(random.normal(0, 0.07, 2))
    source = np.arange(bands) * low_factor
    source = np.where(source < knee, source, knee + (np.arange(bands) - knee / low_factor) * high_factor)
    source = np.clip(source + random.normal(0, 0.7), 0, bands - 1.001)
    low = source.astype(np.int64)
    weights = np.zeros((bands, bands), np.float32)
    weights[low, np.arange(bands)] = 1 - (source - low)
    weights[low + 1, np.arange(bands)] = source - low
    warped: Float32Array = mel @ weights
    return warped


def _change_contrast(mel: Float32Array, random: np.random.Generator) -> Float32Array:
    """Raise or lower the spectral peaks relative to the envelope: breathy and dull, or clear and pressed voices."""
    from scipy.ndimage import uniform_filter1d

    envelope = uniform_filter1d(mel, int(random.integers(_ENVELOPE_BANDS, 4 * _ENVELOPE_BANDS)), axis=1, mode="nearest")
    factor = np.float32(np.exp(random.normal(0, _CONTRAST_SPREAD)))
    changed: Float32Array = envelope + factor * (mel - envelope)
    return np.maximum(changed, np.float32(SILENCE_LOG_POWER), out=changed)


def _add_reverberation(mel: Float32Array, random: np.random.Generator) -> Float32Array:
    """Add a decaying tail, 60 dB in 0.15 to 0.9 s and 0 to 15 dB below the direct sound, to the power of each band."""
    from scipy.signal import lfilter

    kept = np.float32(10 ** (-6 * _MEL_FRAME_S / random.uniform(0.15, 0.9)))
    share = np.float32(10 ** (-random.uniform(0, 1.5))) * (1 - kept)
    power = np.exp(mel)
    tail = lfilter(np.array([0, share], np.float32), np.array([1, -kept], np.float32), power, axis=0)
    reverberant: Float32Array = np.log(power + tail)
    return reverberant


def _add_noise(mel: Float32Array, random: np.random.Generator) -> Float32Array:
    """Add stationary noise with a smooth random spectrum, 9 to 56 dB below the mean power."""
    bands = mel.shape[1]
    level = np.log(np.exp(mel).mean())
    shape = np.interp(np.arange(bands), np.linspace(0, bands - 1, 5), random.normal(0, 1.5, 5))
    noise = np.exp(level - random.uniform(2, 13) + shape).astype(np.float32)
    noisy: Float32Array = np.log(np.exp(mel) + noise)
    return noisy
