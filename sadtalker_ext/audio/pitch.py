"""Level, voicing and pitch of sound at the frame rate of the video, block by block.

Pitch follows Boersma (1993), "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound": the autocorrelation of a windowed piece divided by the
autocorrelation of the window, here of the band below 1 kHz, where voices keep their strongest harmonics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16000
HOP_SAMPLES = 640
"""One video frame at 25 Hz."""
WINDOW_SAMPLES = 1024
"""64 ms, three periods of the lowest pitch."""
PITCH_RANGE_HZ = (65.0, 500.0)
VOICE_BAND_HZ = (100.0, 4000.0)
PITCH_BAND_HZ = (50.0, 1000.0)
OCTAVE_COST = 0.06
"""How much weaker a peak may be per octave and still win by being higher; keeps subharmonics away."""
SILENCE_DB = -100.0
_FFT_SAMPLES = 2 * WINDOW_SAMPLES
_GROUP_FRAMES = 128
_LEAD_SAMPLES = (WINDOW_SAMPLES - HOP_SAMPLES) // 2


class FrameTracks(NamedTuple):
    """What the ear gets per video frame; all (T,) float32.

    level_db: level of the band 100 Hz to 4 kHz, in dB of full scale, at least -100.
    voicing: height of the strongest pitch peak of the autocorrelation in [0, 1]; 1 is a perfectly periodic sound.
    pitch_hz: the pitch of that peak, 65 to 500 Hz, whatever ``voicing`` is.
    """

    level_db: NDArray[np.float32]
    voicing: NDArray[np.float32]
    pitch_hz: NDArray[np.float32]


def measure_frames(blocks: Iterable[NDArray[np.float32]], frames: int | None = None) -> FrameTracks:
    """Level, voicing and pitch at 25 Hz from consecutive blocks of mono 16 kHz samples in [-1, 1].

    The result does not depend on how the sound is cut into blocks. Frame t is measured around the middle of
    its time, (t + 0.5) / 25 s. With ``frames`` the tracks are cut or continued in silence to that length.
    """
    parts = [_measure(group) for group in _windows(blocks, frames)]
    if not parts:
        parts = [_measure(np.zeros((max(frames or 0, 1), WINDOW_SAMPLES), np.float32))]
    level_db, voicing, pitch_hz = (np.concatenate([part[index] for part in parts]) for index in range(3))
    return FrameTracks(level_db, voicing, pitch_hz)


def _windows(blocks: Iterable[NDArray[np.float32]], frames: int | None) -> Iterator[NDArray[np.float32]]:
    """Groups (N, WINDOW_SAMPLES) of windows, N up to 128, over the blocks with silence before and after."""
    kept = np.zeros(_LEAD_SAMPLES, np.float32)
    done = 0
    samples = 0
    for block in blocks:
        samples += len(block)
        kept = np.concatenate([kept, np.asarray(block, np.float32)])
        count = (len(kept) - WINDOW_SAMPLES) // HOP_SAMPLES + 1
        if frames is not None:
            count = min(count, frames - done)
        if count > 0:
            yield from _groups(kept, count)
            done += count
            kept = kept[count * HOP_SAMPLES :]
    total = frames if frames is not None else -(-samples // HOP_SAMPLES)
    if total > done:
        needed = (total - done - 1) * HOP_SAMPLES + WINDOW_SAMPLES
        tail = np.zeros(needed, np.float32)
        tail[: min(len(kept), needed)] = kept[:needed]
        yield from _groups(tail, total - done)


def _groups(samples: NDArray[np.float32], count: int) -> Iterator[NDArray[np.float32]]:
    views = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES][:count]
    for start in range(0, count, _GROUP_FRAMES):
        yield views[start : start + _GROUP_FRAMES]


def _measure(windows: NDArray[np.float32]) -> FrameTracks:
    taper = np.hanning(WINDOW_SAMPLES + 1)[:-1]
    spectrum = np.fft.rfft(windows * taper, _FFT_SAMPLES, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    hz = np.fft.rfftfreq(_FFT_SAMPLES, 1.0 / SAMPLE_RATE_HZ)
    voice = (hz >= VOICE_BAND_HZ[0]) & (hz <= VOICE_BAND_HZ[1])
    mean_square = 2.0 * power[:, voice].sum(axis=1) / (_FFT_SAMPLES * np.sum(taper**2))
    level_db = np.maximum(10.0 * np.log10(mean_square + 1e-12), SILENCE_DB)
    power[:, (hz < PITCH_BAND_HZ[0]) | (hz > PITCH_BAND_HZ[1])] = 0.0
    voicing, pitch_hz = _pitch(power, taper)
    return FrameTracks(level_db.astype(np.float32), voicing.astype(np.float32), pitch_hz.astype(np.float32))


def _pitch(
    power: NDArray[np.float64], taper: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Voicing in [0, 1] and pitch in hertz, each (N,), of power spectra (N, F)."""
    shortest = int(SAMPLE_RATE_HZ / PITCH_RANGE_HZ[1])
    longest = int(SAMPLE_RATE_HZ / PITCH_RANGE_HZ[0])
    correlation = np.fft.irfft(power, _FFT_SAMPLES, axis=1)[:, : longest + 2]
    own = np.fft.irfft(np.abs(np.fft.rfft(taper, _FFT_SAMPLES)) ** 2, _FFT_SAMPLES)[: longest + 2]
    ratio = correlation / (correlation[:, :1] + 1e-9) / (own / own[0])
    lags = np.arange(shortest, longest + 1)
    middle = ratio[:, lags]
    peak = (middle >= ratio[:, lags - 1]) & (middle >= ratio[:, lags + 1])
    score = np.where(peak, middle - OCTAVE_COST * np.log2(lags / shortest), -1.0)
    best = score.argmax(axis=1)
    rows = np.arange(len(ratio))
    lag = lags[best]
    left, top, right = ratio[rows, lag - 1], ratio[rows, lag], ratio[rows, lag + 1]
    curve = left - 2.0 * top + right
    shift = np.where(curve < -1e-9, 0.5 * (left - right) / np.minimum(curve, -1e-9), 0.0)
    found = peak[rows, best]
    voicing = np.where(found, np.clip(top, 0.0, 1.0), 0.0)
    return voicing, SAMPLE_RATE_HZ / (lag + np.clip(shift, -0.5, 0.5))
