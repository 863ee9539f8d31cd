"""Synthetic sounds that resemble voices in pitch or timbre: sirens, whistled tunes, theremins, brass, calls of animals.

Each kind is a function of a random generator and a number of samples at 16 kHz, and returns sound of any level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable

    from sadtalker_ext.arrays import Float64Array

    Random = np.random.Generator
    Call = Callable[[Random], Float64Array]

TUNE_STEPS: Final = (-5, -4, -2, -1, 0, 0, 1, 2, 2, 3, 4, 5, 7)
"""Semitones from one note of a whistled tune to the next."""
TUNE_RANGE: Final = (0, 30)
"""Lowest and highest note of a tune, semitones above its key."""
KNOT_S: Final = 0.05
"""Distance of the values between which a random course is interpolated."""
MAX_HARMONICS: Final = 40


def siren(random: Random, count: int) -> Float64Array:
    """Return a tone with harmonics that wails, yelps or jumps, with an echo; of one horn or two."""
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    total = np.zeros(count)
    for _ in range(int(random.integers(1, 3))):
        lowest_hz, octaves = log_uniform(random, 250, 1600), random.uniform(0.1, 1.3)
        turns = log_uniform(random, 0.1, 8.0) * times_s + random.random()
        rise = random.uniform(0.1, 0.9)
        ramp = np.where(turns % 1.0 < rise, turns % 1.0 / rise, (1.0 - turns % 1.0) / (1.0 - rise))
        sweep = [0.5 - 0.5 * np.cos(2 * np.pi * turns), ramp, (turns % 1.0 < 0.5) * 1.0][int(random.integers(3))]
        phase = 2 * np.pi * np.cumsum(lowest_hz * 2 ** (octaves * sweep)) / SAMPLE_RATE_HZ
        slope, harmonics = random.uniform(0.5, 3.0), int(random.integers(1, 4))
        total += np.sum([number**-slope * np.sin(number * phase) for number in range(1, harmonics + 1)], axis=0)
    echo = int(random.uniform(0.02, 0.3) * SAMPLE_RATE_HZ)
    total[echo:] += random.choice([0.0, random.uniform(0.1, 0.5)]) * total[:-echo]
    return total


def horn_siren(random: Random, count: int) -> Float64Array:
    """Return a loud siren: overdriven, from a horn with resonances, that swells and passes by, over street noise."""
    passing = course(random, count, random.uniform(1.0, 4.0), 0.4)
    swell = 10 ** (random.uniform(0, 1) * passing)
    driven = np.tanh(random.uniform(0.5, 6.0) * siren(random, count) * swell)
    sound = resonate(driven, random, int(random.integers(1, 4)), (500, 4000))
    walk = random.normal(size=count).cumsum()
    noise = walk - np.convolve(walk, np.full(401, 1 / 401), mode="same")
    made: Float64Array = sound / (np.std(sound) + 1e-9) + 10 ** random.uniform(-2, -0.3) * noise / np.std(noise)
    return made


def theremin(random: Random, count: int) -> Float64Array:
    """Return a tone that glides all the time, with vibrato and few harmonics."""
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    octaves = course(random, count, random.uniform(0.2, 1.5), random.uniform(0.3, 1.0))
    vibrato = random.uniform(0, 0.03) * np.sin(2 * np.pi * random.uniform(4, 8) * times_s)
    hz = np.clip(log_uniform(random, 150, 1500) * 2 ** (octaves + vibrato), 60, 6000)
    level = np.exp(course(random, count, 0.3, random.uniform(0.2, 1.2)))
    return level * harmonic_tone(hz, random.uniform(0.8, 4.0), int(random.integers(1, 9)))


def whistled_tune(random: Random, count: int) -> Float64Array:
    """Return a melody of pure tones that slide from note to note, with breath noise."""
    beat_s, key_hz = random.uniform(0.12, 0.6), log_uniform(random, 400, 1000)
    note = 12
    notes: list[int] = []
    gates: list[float] = []
    while len(notes) < count:
        note = int(np.clip(note + random.choice(TUNE_STEPS), *TUNE_RANGE))
        length = int(beat_s * random.choice([0.5, 1, 1, 2, 3]) * SAMPLE_RATE_HZ)
        held = int(length * random.uniform(0.6, 1.0))
        notes += [note] * length
        gates += [1.0] * held + [0.0] * (length - held)
    slide = np.hanning(2 * int(random.uniform(0.01, 0.08) * SAMPLE_RATE_HZ) + 1)
    tracks = np.array([notes[:count], gates[:count]])
    steps, gate = (np.convolve(track, slide / slide.sum(), mode="same") for track in tracks)
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    pitch = steps + random.uniform(0, 0.6) * np.sin(2 * np.pi * random.uniform(4, 7) * times_s)
    tone = harmonic_tone(np.minimum(key_hz * 2 ** (pitch / 12), 7000), random.uniform(2, 5), int(random.integers(1, 4)))
    breath = random.uniform(0, 0.2) * random.normal(size=count)
    made: Float64Array = np.multiply(gate, tone + breath)
    return made


def brass(random: Random, hz: float, times_s: Float64Array) -> Float64Array:
    """Return a note of a brass or reed instrument: bright when loud, through the resonances of its bell."""
    swell = np.minimum(1.0, times_s / random.uniform(0.02, 0.15)) * (1 - random.uniform(0, 0.5) * times_s / times_s[-1])
    vibrato = 1.0 + random.uniform(0, 0.008) * np.sin(2 * np.pi * random.uniform(4, 7) * times_s)
    tone = harmonic_tone(hz * vibrato, random.uniform(0.2, 1.2), MAX_HARMONICS)
    dull = harmonic_tone(hz * vibrato, 2.5, MAX_HARMONICS)
    mixed: Float64Array = swell * (swell * tone + (1.0 - swell) * dull)
    return resonate(mixed, random, int(random.integers(1, 3)), (400, 2500))


def calls(make_call: Call) -> Callable[[Random, int], Float64Array]:
    """Return a function that repeats calls of one animal, each a little different, with pauses."""

    def make(random: Random, count: int) -> Float64Array:
        total, at = np.zeros(count), int(random.uniform(0, 0.5) * SAMPLE_RATE_HZ)
        pause_s, seed = log_uniform(random, 0.05, 1.5), int(random.integers(2**31))
        while at < count:
            call = make_call(np.random.default_rng(seed if random.random() < 0.7 else random.integers(2**31)))
            length = min(len(call), count - at)
            total[at : at + length] += random.uniform(0.5, 1.0) * call[:length] / (np.abs(call).max() + 1e-9)
            at += length + int(pause_s * np.exp(0.4 * random.normal()) * SAMPLE_RATE_HZ)
        return total + 10 ** random.uniform(-5, -2.5) * random.normal(size=count)

    return make


def bark(random: Random) -> Float64Array:
    """Return a bark, quack or cluck: short, rough, with a falling pitch."""
    return _call(random, (0.05, 0.4), (100, 1200), roughness=(0.0, 1.5))


def long_call(random: Random) -> Float64Array:
    """Return a moo, meow, neigh, bleat, howl or squeal: long, often trembling."""
    call = _call(random, (0.3, 2.2), (90, 2200), roughness=(0.0, 0.8))
    times_s = np.arange(len(call)) / SAMPLE_RATE_HZ
    tremble = random.choice([0.0, random.uniform(0.2, 1.0)]) * np.sin(2 * np.pi * random.uniform(6, 25) * times_s)
    made: Float64Array = call * (1.0 + tremble)
    return made


def grunt(random: Random) -> Float64Array:
    """Return a grunt, growl or snort: slow irregular pulses and noise."""
    return _call(random, (0.1, 1.2), (20, 140), roughness=(0.5, 3.0))


def _call(
    random: Random, length_s: tuple[float, float], pitch_hz: tuple[float, float], roughness: tuple[float, float]
) -> Float64Array:
    """Return a call whose resonances may move; roughness: range of the level of noise, relative to that of the tone."""
    count = int(log_uniform(random, *length_s) * SAMPLE_RATE_HZ)
    place = np.linspace(0.0, 1.0, count)
    bend = random.uniform(-0.6, 0.6) * np.sin(np.pi * place ** random.uniform(0.4, 2)) - random.uniform(0, 0.6) * place
    jitter = course(random, count, 0.03, random.uniform(0.0, 0.15))
    tone = harmonic_tone(
        np.clip(log_uniform(random, *pitch_hz) * 2 ** (bend + jitter), 15, 5000), random.uniform(0.2, 1.5), 60
    )
    growl = np.sin(2 * np.pi * random.uniform(20, 90) * np.arange(count) / SAMPLE_RATE_HZ)
    rough = random.uniform(*roughness) * random.normal(size=count) * np.std(tone)
    voice = (tone + rough) * (1.0 + random.choice([0.0, random.uniform(0.2, 1.0)]) * growl)
    first, last = (resonate(voice, random, int(random.integers(1, 5)), (250, 4500)) for _ in range(2))
    moving = random.choice([0.0, 1.0]) * place
    envelope = np.sin(np.pi * place ** random.uniform(0.3, 1.2)) ** random.uniform(0.4, 2)
    made: Float64Array = envelope * ((1.0 - moving) * first + moving * last)
    return made


def insects(random: Random, count: int) -> Float64Array:
    """Return the chirps of crickets and cicadas: high tones that are switched fast."""
    times_s, total = np.arange(count) / SAMPLE_RATE_HZ, np.zeros(count)
    for _ in range(int(random.integers(1, 5))):
        pulse = np.maximum(0.0, np.sin(2 * np.pi * random.uniform(8, 60) * times_s)) ** random.uniform(0.5, 3)
        song = np.sin(2 * np.pi * random.uniform(0.3, 3) * times_s + random.uniform(0, 6)) > random.uniform(-1, 0.5)
        total += random.uniform(0.2, 1) * pulse * song * np.sin(2 * np.pi * random.uniform(2000, 7500) * times_s)
    return total + 0.02 * random.normal(size=count)


def harmonic_tone(hz: Float64Array, slope: float, harmonics: int) -> Float64Array:
    """Return a tone of changing pitch (T,) whose harmonics below half the sample rate have levels ``n ** -slope``."""
    phase, total = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE_HZ, np.zeros(len(hz))
    for number in range(1, harmonics + 1):
        audible = number * hz < SAMPLE_RATE_HZ / 2
        if not audible.any():
            break
        total += number**-slope * audible * np.sin(number * phase)
    return total


def resonate(samples: Float64Array, random: Random, peaks: int, range_hz: tuple[float, float]) -> Float64Array:
    """Return the samples through random resonances, as of a throat or a horn."""
    spectrum = np.fft.rfft(samples)
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(spectrum))
    gain = np.full(len(hz), 0.05)
    for _ in range(peaks):
        centre_hz = log_uniform(random, *range_hz)
        width_hz = centre_hz * random.uniform(0.08, 0.4)
        gain += random.uniform(0.3, 1) / (1.0 + ((hz - centre_hz) / width_hz) ** 2)
    made: Float64Array = np.fft.irfft(spectrum * gain, len(samples))
    return made


def course(random: Random, count: int, slowness_s: float, spread: float) -> Float64Array:
    """Return a smooth random course (count,) with a standard deviation of about ``spread``."""
    knots = int(count / SAMPLE_RATE_HZ / KNOT_S) + 2
    window = np.hanning(max(3, 2 * int(slowness_s / KNOT_S) + 1))
    smooth = np.convolve(random.normal(size=knots + len(window)), window, mode="same")[:knots]
    values = spread * smooth / np.sqrt(np.square(window).sum())
    return np.interp(np.arange(count) / SAMPLE_RATE_HZ / KNOT_S, np.arange(knots), values)


def log_uniform(random: Random, low: float, high: float) -> float:
    """Return a random number whose logarithm is uniform."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))
