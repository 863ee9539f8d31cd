"""Synthetic sounds close to voices by harmonics or formants: alarms, long sirens, horns, bells, synthesisers, calls.

Each kind is a function of a random generator and a number of samples at 16 kHz, and returns sound of any level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.training.corpus.calls_and_glides import MAX_HARMONICS, course, harmonic_tone, log_uniform, resonate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float64Array, Samples

    Random = np.random.Generator

WINDOW: Final = 512
HOP: Final = 128
"""Samples of the window in which a filter is constant, and its step."""
FORMANTS_HZ: Final = ((250, 1300), (700, 2900), (1800, 4200))
"""Ranges of the resonances of calls: a throat is longer or shorter than that of a person."""
PLATE_RATIOS: Final = (0.5, 1.0, 1.2, 1.5, 2.0, 2.67, 3.0, 4.0, 5.33)
"""Partials of a tuned bell, relative to its strike note."""
HORN_CHORDS: Final = ((1.0,), (1.0, 1.22), (1.0, 1.26), (1.0, 1.19, 1.5), (1.0, 1.2, 1.33, 1.6, 2.0))
"""Tones of the horns of cars, lorries and trains, relative to the lowest."""
REVERBERATION_S: Final = (0.2, 2.0)
"""Range of the time in which an echo fades by 60 dB, seconds."""


def harmonic_alarm(random: Random, count: int) -> Float64Array:
    """Return an alarm clock, buzzer or warning sound: tones with many harmonics, switched in a pattern."""
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    steps = log_uniform(random, 200, 3200) * 2 ** (random.integers(0, 9, int(random.integers(1, 5))) / 12)
    rate_hz = log_uniform(random, 0.5, 24.0)
    hz = steps[(times_s * rate_hz).astype(int) % len(steps)]
    tone = harmonic_tone(hz, random.uniform(0.0, 1.5), MAX_HARMONICS)
    beats = (times_s * log_uniform(random, 0.7, 10.0)) % 1.0 < random.uniform(0.3, 1.0)
    group = (times_s * random.uniform(0.2, 1.0)) % 1.0 < random.uniform(0.4, 1.2)
    return resonate(tone * beats * group, random, int(random.integers(1, 4)), (400, 5000))


def harmonic_siren(random: Random, count: int) -> Float64Array:
    """Return a siren with many harmonics from a horn, whose pitch wails slowly or yelps fast."""
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    turns = log_uniform(random, 0.08, 5.0) * times_s + random.random()
    rise = random.uniform(0.1, 0.9)
    ramp = np.minimum(turns % 1.0 / rise, (1.0 - turns % 1.0) / (1.0 - rise))
    curve = ramp ** random.uniform(0.4, 1.6) if random.random() < 0.7 else (ramp > 0.5) * 1.0
    hz = log_uniform(random, 120, 900) * 2 ** (random.uniform(0.2, 2.0) * curve)
    tone = harmonic_tone(hz, random.uniform(0.2, 1.4), MAX_HARMONICS)
    driven = np.tanh(random.uniform(0.5, 4.0) * tone)
    return resonate(driven, random, int(random.integers(1, 4)), (400, 3500))


def motor_horn(random: Random, count: int) -> Float64Array:
    """Return the horn of a car, train or ship: beating tones of a chord, in long or short blasts."""
    times_s, low_hz = np.arange(count) / SAMPLE_RATE_HZ, log_uniform(random, 70, 520)
    total = np.zeros(count)
    for ratio in HORN_CHORDS[int(random.integers(len(HORN_CHORDS)))]:
        for _ in range(int(random.integers(1, 3))):
            hz = low_hz * ratio * (1.0 + random.normal(0, 0.006)) * (1.0 + course(random, count, 0.5, 0.003))
            total += harmonic_tone(hz, random.uniform(0.2, 1.3), MAX_HARMONICS)
    blast_s, share = log_uniform(random, 0.2, 4.0), random.uniform(0.3, 1.0)
    place = (times_s / blast_s) % 1.0
    swell = np.clip(np.minimum(place, share - place) * blast_s / random.uniform(0.02, 0.2), 0.0, 1.0)
    return resonate(total, random, int(random.integers(1, 4)), (400, 3000)) * swell


def tuned_bells(random: Random, count: int) -> Float64Array:
    """Return bells of a church, a door or a telephone: pairs of partials that beat, struck slowly or trilled."""
    total, at = np.zeros(count), 0
    low_hz, pause_s = log_uniform(random, 120, 2000), log_uniform(random, 0.04, 2.5)
    decay = log_uniform(random, 0.3, 4.0)
    while at < count:
        hz, times_s = low_hz * 2 ** (random.integers(0, 5) / 12), np.arange(count - at) / SAMPLE_RATE_HZ
        for ratio in PLATE_RATIOS:
            if ratio * hz < SAMPLE_RATE_HZ / 2:
                pair = np.sin(2 * np.pi * ratio * hz * times_s) + np.sin(2 * np.pi * ratio * hz * 1.003 * times_s)
                total[at:] += random.uniform(0.1, 1.0) * pair * np.exp(-decay * np.sqrt(ratio) * times_s)
        at += int(max(pause_s, count / SAMPLE_RATE_HZ / 60) * SAMPLE_RATE_HZ * random.uniform(0.9, 1.1))
    return total


def synthesiser(random: Random, count: int) -> Float64Array:
    """Return a melody of a synthesiser, harmonica or accordion: vibrato, beating voices, and a filter that moves."""
    length = int(log_uniform(random, 0.12, 2.0) * SAMPLE_RATE_HZ)
    notes = random.integers(0, 22, count // length + 1)
    steps = np.repeat(notes, length)[:count] / 12
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    vibrato = random.uniform(0, 0.02) * np.sin(2 * np.pi * random.uniform(3.5, 7.5) * times_s)
    hz = log_uniform(random, 55, 420) * 2 ** (steps + vibrato)
    slope = random.uniform(0.0, 1.4)
    total = np.sum([harmonic_tone(hz * (1 + random.normal(0, 0.004)), slope, MAX_HARMONICS) for _ in range(2)], axis=0)
    place = np.arange(count) % length / length
    swell = np.minimum(1.0, np.minimum(place, 1.0 - place) / random.uniform(0.01, 0.2))
    return moving_resonances(total * swell, random, int(random.integers(1, 3)), random.uniform(0.1, 1.0))


def vowel_call(random: Random) -> Float64Array:
    """Return one call of an animal whose throat opens and closes: pulses of a larynx through moving formants."""
    count = int(log_uniform(random, 0.06, 1.8) * SAMPLE_RATE_HZ)
    place = np.linspace(0.0, 1.0, count)
    arch = random.uniform(-0.2, 0.7) * np.sin(np.pi * place ** random.uniform(0.4, 1.5))
    arch -= random.uniform(0, 0.6) * place
    hz = log_uniform(random, 45, 1100) * 2 ** (arch + course(random, count, 0.05, random.uniform(0, 0.1)))
    tone = harmonic_tone(hz, random.uniform(0.3, 1.6), MAX_HARMONICS)
    rough = np.exp(course(random, count, 0.05, random.uniform(0, 1.5))) * random.choice([0.02, 0.2, 1.0])
    excited = tone + rough * np.std(tone) * random.normal(size=count)
    bleat = np.sin(2 * np.pi * random.uniform(7, 40) * np.arange(count) / SAMPLE_RATE_HZ)
    excited *= 1.0 + random.choice([0.0, random.uniform(0.3, 1.0)]) * bleat
    envelope = np.sin(np.pi * place ** random.uniform(0.3, 1.0)) ** random.uniform(0.4, 1.5)
    made: Float64Array = envelope * moving_resonances(
        excited, random, int(random.integers(1, 4)), random.uniform(0.1, 0.6)
    )
    return made


def moving_resonances(samples: Float64Array, random: Random, peaks: int, spread: float) -> Float64Array:
    """Return the samples through up to three resonances that move by about ``spread`` octaves."""
    count = len(samples)
    frames = count // HOP + WINDOW // HOP
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, WINDOW // 2 + 1)
    gain: NDArray[np.float64] = np.full((frames, len(hz)), 0.02)
    for low, high in FORMANTS_HZ[:peaks]:
        path = course(random, frames * HOP, random.uniform(0.1, 0.5), spread)[::HOP][:frames]
        centre = np.clip(log_uniform(random, low, high) * 2**path, 150, 6500)[:, None]
        gain += random.uniform(0.3, 1.0) / (1.0 + ((hz - centre) / (centre * random.uniform(0.05, 0.2))) ** 2)
    padded = np.concatenate([np.zeros(WINDOW), samples, np.zeros(WINDOW)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames]
    shaped = np.fft.irfft(np.fft.rfft(windows * np.hanning(WINDOW), axis=1) * gain[: len(windows)], axis=1)
    total = np.zeros(len(padded))
    for number, part in enumerate(shaped):
        total[number * HOP : number * HOP + WINDOW] += part
    return total[WINDOW : WINDOW + count]


def reverberate(samples: Samples, random: Random) -> Samples:
    """Return the samples as heard in a room, hall or street, at the same peak: direct sound and decaying noise."""
    length = int(log_uniform(random, *REVERBERATION_S) * SAMPLE_RATE_HZ)
    tail = random.normal(size=length) * 10 ** (-3.0 * np.arange(length) / length)
    dull = int(random.integers(1, 8))
    tail = np.convolve(tail, np.full(dull, 1.0 / dull), mode="same")
    tail *= 10 ** random.uniform(-1.0, 0.3) / np.sqrt(np.square(tail).sum())
    tail[0] += 1.0
    size = len(samples) + length
    heard = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    peak = float(np.abs(samples).max())
    return np.asarray(heard * peak / max(float(np.abs(heard).max()), 1e-9), np.float32)
