"""Changes to log-mel frames that cost next to nothing, so that no batch is like another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.models.speech_to_expression import SILENCE_LOG_POWER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mel = NDArray[np.float32]

_NATS_PER_DB: Final = np.float32(np.log(10) / 10)
_NONE: Final = np.float32(0.0)
_MEL_FRAME_S: Final = 0.01
_TEMPO_SPREAD: Final = 0.12
_TEMPO_WANDERS: Final = 0.25
_CONTRAST_SPREAD: Final = 0.25
_ENVELOPE_BANDS: Final = 9


def disturb(mel: Mel, random: np.random.Generator) -> Mel:
    """(M, 80): another throat, clearer or duller, gain, a room, steady noise, lost bands, a little jitter."""
    if random.random() < 0.8:
        mel = _another_throat(mel, random)
    if random.random() < 0.5:
        mel = _another_clarity(mel, random)
    mel = amplified(mel, np.full((len(mel), 1), random.uniform(-20, 6), np.float32))
    if random.random() < 0.35:
        mel = _in_a_room(mel, random)
    if random.random() < 0.5:
        mel = _in_noise(mel, random)
    if random.random() < 0.4:
        width = int(random.integers(2, 14))
        first = int(random.integers(mel.shape[1] - width))
        mel = mel.copy()
        mel[:, first : first + width] = SILENCE_LOG_POWER
    jitter = random.standard_normal(mel.shape, np.float32)
    jitter *= np.float32(random.uniform(0, 0.25))
    return mel + jitter


def amplified(mel: Mel, gain_db: Mel) -> Mel:
    """(M, 80) with (M, 1) dB more; digital silence stays silent."""
    louder: Mel = mel + np.where(mel > SILENCE_LOG_POWER + 1, gain_db * _NATS_PER_DB, _NONE)
    return np.maximum(louder, np.float32(SILENCE_LOG_POWER), out=louder)


def pace(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(count,) places in mel frames, from 0: another speaker's tempo, who hurries and lingers from word to word."""
    spacing = int(random.integers(15, 60))
    knots = random.normal(0, random.uniform(0, _TEMPO_WANDERS), count // spacing + 2) + random.normal(0, _TEMPO_SPREAD)
    tempo = np.exp(np.interp(np.arange(count - 1), np.arange(len(knots)) * spacing, np.clip(knots, -0.5, 0.5)))
    places: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(tempo)])
    return places


def taken_at(mel: Mel, places: NDArray[np.float64]) -> Mel:
    """(M, 80) at (count,) places in frames from 0 to M - 1, linear between them."""
    at = np.minimum(places, len(mel) - 1.001)
    low = at.astype(np.int64)
    share = (at - low).astype(np.float32)[:, None]
    below: Mel = mel[low]
    below += share * (mel[low + 1] - below)
    return below


def swell_db(count: int, random: np.random.Generator) -> Mel:
    """(count,) mel frames of gain that wanders by some dB from word to word."""
    spacing = int(random.integers(25, 90))
    knots = random.normal(0, random.uniform(1, 5), count // spacing + 2)
    return np.interp(np.arange(count), np.arange(len(knots)) * spacing, np.clip(knots, -10, 6)).astype(np.float32)


def effort(gain_db: Mel) -> Mel:
    """(T,) dB -> (T, 1) factor on the jaw and the lips' parting.

    6 % per dB: between soft and loud speech, 15 dB apart, the jaw's movement about doubles (Schulman 1989,
    "Articulatory dynamics of loud and normal speech"; Geumann 2001).
    """
    factor: Mel = np.clip(1.0 + 0.06 * gain_db, 0.4, 1.4)[:, None].astype(np.float32)
    return factor


def _another_throat(mel: Mel, random: np.random.Generator) -> Mel:
    """Bands moved by one factor below a random band and by another above it (vocal tract length perturbation)."""
    bands = mel.shape[1]
    bend = random.uniform(20, 50)
    low_factor, high_factor = np.exp(random.normal(0, 0.07, 2))
    at = np.arange(bands) * low_factor
    at = np.where(at < bend, at, bend + (np.arange(bands) - bend / low_factor) * high_factor)
    at = np.clip(at + random.normal(0, 0.7), 0, bands - 1.001)
    low = at.astype(np.int64)
    mixing = np.zeros((bands, bands), np.float32)
    mixing[low, np.arange(bands)] = 1 - (at - low)
    mixing[low + 1, np.arange(bands)] = at - low
    moved: Mel = mel @ mixing
    return moved


def _another_clarity(mel: Mel, random: np.random.Generator) -> Mel:
    """Peaks of the spectrum higher or lower above its envelope: breathy and dull voices, clear and pressed ones."""
    from scipy.ndimage import uniform_filter1d

    envelope = uniform_filter1d(mel, int(random.integers(_ENVELOPE_BANDS, 4 * _ENVELOPE_BANDS)), axis=1, mode="nearest")
    factor = np.float32(np.exp(random.normal(0, _CONTRAST_SPREAD)))
    clearer: Mel = envelope + factor * (mel - envelope)
    return np.maximum(clearer, np.float32(SILENCE_LOG_POWER), out=clearer)


def _in_a_room(mel: Mel, random: np.random.Generator) -> Mel:
    """The power of each band decays instead of stopping: 0.15 to 0.9 s for 60 dB, 0 to 15 dB below the direct sound."""
    from scipy.signal import lfilter

    kept = np.float32(10 ** (-6 * _MEL_FRAME_S / random.uniform(0.15, 0.9)))
    share = np.float32(10 ** (-random.uniform(0, 1.5))) * (1 - kept)
    power = np.exp(mel)
    tail = lfilter(np.array([0, share], np.float32), np.array([1, -kept], np.float32), power, axis=0)
    echoing: Mel = np.log(power + tail)
    return echoing


def _in_noise(mel: Mel, random: np.random.Generator) -> Mel:
    """Steady noise of a smooth random spectrum, 9 to 56 dB below the mean of the power."""
    bands = mel.shape[1]
    loud = np.log(np.exp(mel).mean())
    shape = np.interp(np.arange(bands), np.linspace(0, bands - 1, 5), random.normal(0, 1.5, 5))
    noise = np.exp(loud - random.uniform(2, 13) + shape).astype(np.float32)
    noisy: Mel = np.log(np.exp(mel) + noise)
    return noisy
