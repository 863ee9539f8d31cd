"""Synthetic sounds without a voice, of many kinds: instruments, knocks and clicks, machines, animals, weather.

A detector of voices needs them as counterexamples. Each kind is a function of a random generator and a number of
samples at 16 kHz, and returns sound of any level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.training.corpus import calls_and_glides, signals_and_vowels
from sadtalker_ext.training.corpus.background_sounds import make_music, make_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from sadtalker_ext.arrays import Float64Array, Samples

    Random = np.random.Generator
    Tone = Callable[[Random, float, Float64Array], Float64Array]
    Hit = Callable[[Random], Float64Array]

LOWEST_NOTE_HZ: Final = 65.4
"""C2."""
NOTES: Final = 48
"""Semitones above it from which notes are drawn."""
CHORDS: Final = ((0,), (0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 5), (0, 3, 6, 9), (0, 12), (0, 2, 7))
"""Semitones of a chord above its lowest note."""
HIT_S: Final = 0.35
"""Length of a knock or click."""


def _partials(hz: float, times_s: Float64Array, weights: Float64Array, stretch: float = 0.0) -> Float64Array:
    """Return the sum of harmonics with these weights; stretch makes the higher ones sharp, as stiff strings do."""
    total = np.zeros(len(times_s))
    for number, weight in enumerate(weights, 1):
        partial_hz = number * hz * np.sqrt(1.0 + stretch * number * number)
        if weight and partial_hz < SAMPLE_RATE_HZ / 2:
            total += weight * np.sin(2 * np.pi * partial_hz * times_s + number)
    return total


def _organ(random: Random, hz: float, times_s: Float64Array) -> Float64Array:
    weights = np.zeros(8)
    weights[[0, 1, 2, 3, 5, 7]] = random.uniform(0, 1, 6)
    return _partials(hz, times_s, weights)


def _keyed(random: Random, hz: float, times_s: Float64Array) -> Float64Array:
    on = np.sin(2 * np.pi * random.uniform(0.4, 6) * times_s + random.uniform(0, 6)) > random.uniform(-0.5, 0.5)
    made: Float64Array = _partials(hz, times_s, random.choice([0.0, 1.0]) ** np.arange(4)) * on
    return made


def _square(random: Random, hz: float, times_s: Float64Array) -> Float64Array:
    duty = random.uniform(0.1, 0.9)
    made: Float64Array = (hz * times_s % 1.0 < duty) - duty
    return made


def _pluck(random: Random, hz: float, times_s: Float64Array) -> Float64Array:
    decay = random.uniform(2, 9)
    weights = np.arange(1, 13) ** -random.uniform(0.5, 2)
    made: Float64Array = _partials(hz, times_s, weights, 1e-4) * np.exp(-decay * times_s)
    return made


def _bell(random: Random, hz: float, times_s: Float64Array) -> Float64Array:
    total = np.zeros(len(times_s))
    for ratio in (0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 3.01, 4.1):
        total += random.uniform(0.1, 1) * np.sin(2 * np.pi * hz * ratio * times_s) * np.exp(-ratio * times_s)
    return total


def _strings(random: Random, hz: float, times_s: Float64Array) -> Float64Array:
    vibrato = 1.0 + random.uniform(0, 0.006) * np.sin(2 * np.pi * random.uniform(4, 7) * times_s)
    saw = 2.0 * (np.cumsum(hz * vibrato) / SAMPLE_RATE_HZ % 1.0) - 1.0
    length = int(random.integers(1, 12))
    smooth: Float64Array = np.convolve(saw, np.ones(length) / length, mode="same")
    smooth *= np.minimum(1.0, times_s / random.uniform(0.02, 0.3))
    return smooth


def _fm(random: Random, hz: float, times_s: Float64Array) -> Float64Array:
    depth = random.uniform(0.5, 6) * np.exp(-random.uniform(0.2, 5) * times_s)
    modulation = np.sin(2 * np.pi * hz * random.choice([0.5, 1, 1.4, 2, 3]) * times_s)
    made: Float64Array = np.sin(2 * np.pi * hz * times_s + depth * modulation)
    return made


def _whistle(random: Random, hz: float, times_s: Float64Array) -> Float64Array:
    glide = hz * random.uniform(2, 8) * (1 + random.uniform(-0.5, 0.5) * times_s)
    tone = np.sin(2 * np.pi * np.cumsum(np.clip(glide, 200, 7500)) / SAMPLE_RATE_HZ)
    made: Float64Array = tone * np.sin(np.pi * np.minimum(times_s / times_s[-1], 1.0)) ** random.uniform(0.3, 3)
    return made


def _resonances(random: Random, lowest_hz: float, highest_hz: float, decay_per_s: tuple[float, float]) -> Float64Array:
    times_s = np.arange(int(HIT_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    total = np.zeros(len(times_s))
    for _ in range(int(random.integers(2, 7))):
        hz = np.exp(random.uniform(np.log(lowest_hz), np.log(highest_hz)))
        damped = np.exp(-random.uniform(*decay_per_s) * times_s)
        total += random.uniform(0.2, 1) * np.sin(2 * np.pi * hz * times_s + random.uniform(0, 6)) * damped
    return total


def _noise_burst(random: Random, length_s: float) -> Float64Array:
    times_s = np.arange(int(HIT_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    burst = random.normal(size=len(times_s)) * np.exp(-times_s / length_s)
    return np.convolve(burst, random.normal(size=int(random.integers(1, 6))), mode="same")


def _click(random: Random) -> Float64Array:
    hit = np.zeros(int(random.integers(2, 40)))
    hit[: int(random.integers(1, 3))] = random.choice([-1.0, 1.0])
    return hit


def _knock(random: Random) -> Float64Array:
    return _resonances(random, 70, 700, (15, 60)) + 0.1 * _noise_burst(random, 0.004)


def _key(random: Random) -> Float64Array:
    return _resonances(random, 900, 7000, (80, 300)) + random.uniform(0.2, 2) * _noise_burst(random, 0.006)


def _glass(random: Random) -> Float64Array:
    return _resonances(random, 1200, 7500, (4, 30))


def _drum(random: Random) -> Float64Array:
    times_s = np.arange(int(HIT_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    sweep = np.cumsum(random.uniform(40, 90) + random.uniform(50, 300) * np.exp(-30 * times_s)) / SAMPLE_RATE_HZ
    kick = np.sin(2 * np.pi * sweep) * np.exp(-random.uniform(8, 25) * times_s)
    noise = _noise_burst(random, random.uniform(0.01, 0.1))
    made: Float64Array = kick if random.random() < 0.4 else random.uniform(0, 0.5) * kick + noise
    return made


def _footstep(random: Random) -> Float64Array:
    low = np.convolve(_noise_burst(random, random.uniform(0.01, 0.04)), np.ones(24) / 24, mode="same")
    made: Float64Array = low + 0.2 * _resonances(random, 60, 300, (20, 60))
    return made


def _play(tone: Tone) -> Callable[[Random, int], Float64Array]:
    """Return a function that plays chords of ``tone`` with a beat, or held ones."""

    def make(random: Random, count: int) -> Float64Array:
        total, at = np.zeros(count), 0
        beat_s = random.choice([random.uniform(0.12, 0.8), random.uniform(1.5, 5.0)])
        chord = random.choice(len(CHORDS), 2)
        while at < count:
            length = int(beat_s * random.choice([0.5, 1, 1, 2]) * SAMPLE_RATE_HZ)
            part = slice(at, min(at + length, count))
            times_s = np.arange(part.stop - part.start + 1) / SAMPLE_RATE_HZ
            root = LOWEST_NOTE_HZ * 2 ** (random.integers(0, NOTES) / 12)
            notes = [tone(random, root * 2 ** (step / 12), times_s) for step in CHORDS[random.choice(chord)]]
            fade = np.minimum(1.0, np.minimum(times_s, times_s[-1] - times_s) / 0.008)
            total[part] += (np.sum(notes, axis=0) * fade)[:-1]
            at += length
        return total

    return make


def _repeat(hit: Hit) -> Callable[[Random, int], Float64Array]:
    """Return a function that repeats ``hit``: at a beat, at random times, or in groups."""

    def make(random: Random, count: int) -> Float64Array:
        total, at = np.zeros(count + SAMPLE_RATE_HZ), 0.0
        interval_s, spread = np.exp(random.uniform(np.log(0.06), np.log(1.2))), random.choice([0.02, 0.3, 1.0])
        group, sample = int(random.choice([0, 0, 3, 4])), hit(random)
        number = 0
        while at < count:
            fresh = hit(random) if random.random() < 0.5 else sample
            total[int(at) : int(at) + len(fresh)] += random.uniform(0.4, 1.0) * fresh
            number += 1
            pause = 4.0 if group and number % group == 0 else 1.0
            at += max(pause * interval_s * np.exp(spread * random.normal()), 0.03) * SAMPLE_RATE_HZ
        return total[:count] + 10 ** random.uniform(-5, -2.5) * random.normal(size=count)

    return make


def _filtered(random: Random, count: int) -> Float64Array:
    """Return noise in a band, with an envelope that may be as fast as syllables."""
    spectrum = np.fft.rfft(random.normal(size=count))
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(spectrum))
    centre, octaves = np.exp(random.uniform(np.log(150), np.log(5000))), random.uniform(0.2, 2)
    band = np.exp(-(((np.log2(np.maximum(hz, 1.0) / centre)) / octaves) ** 2))
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    swell = 1.0 + random.uniform(0, 1) * np.sin(2 * np.pi * random.uniform(0.1, 9) * times_s)
    made: Float64Array = np.fft.irfft(spectrum * band, count) * swell
    return made


def _rain(random: Random, count: int) -> Float64Array:
    """Return dense random drops, as of rain, applause or a crackling fire."""
    drops = (random.random(count) < 10 ** random.uniform(-3.5, -1)) * random.normal(size=count)
    tail = np.exp(-np.arange(400) / random.uniform(3, 80)) * random.normal(size=400)
    return np.convolve(drops, tail, mode="same")


def _engine(random: Random, count: int) -> Float64Array:
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    speed = random.uniform(25, 160) * (
        1 + random.uniform(0, 0.4) * np.sin(2 * np.pi * random.uniform(0.05, 0.5) * times_s)
    )
    phase = 2 * np.pi * np.cumsum(speed) / SAMPLE_RATE_HZ
    tone = np.sum([random.uniform(0, 1) / k * np.sin(k * phase) for k in range(1, 25)], axis=0)
    made: Float64Array = tone + random.uniform(0, 0.5) * make_noise(count, random) * (1 + 0.5 * np.sin(phase))
    return made


def _alarm(random: Random, count: int) -> Float64Array:
    """Return a siren, beeps or the two tones of telephone keys."""
    times_s = np.arange(count) / SAMPLE_RATE_HZ
    low, rate_hz = random.uniform(300, 1500), random.uniform(0.2, 6)
    turn = np.sin(2 * np.pi * rate_hz * times_s)
    turn = np.sign(turn) if random.random() < 0.5 else turn
    tone = np.sin(2 * np.pi * np.cumsum(low * 2 ** (random.uniform(0, 0.8) * turn)) / SAMPLE_RATE_HZ)
    tone += random.choice([0, 1]) * np.sin(2 * np.pi * random.uniform(1000, 2000) * times_s)
    made: Float64Array = tone * (turn > 0) if random.random() < 0.4 else tone
    return made


def _mix(random: Random, count: int) -> Float64Array:
    names = random.choice(sorted(set(SOUNDS) - {"mixture"}), int(random.integers(2, 4)), replace=False)
    parts = [SOUNDS[str(name)](random, count) for name in names]
    made: Float64Array = np.sum([random.uniform(0.2, 1) * part / (np.std(part) + 1e-9) for part in parts], axis=0)
    return made


TONES: Final[dict[str, Tone]] = {
    "organ": _organ, "keyed chords": _keyed, "square waves": _square, "plucked strings": _pluck, "bells": _bell,
    "bowed strings": _strings, "frequency modulation": _fm, "whistles and birds": _whistle,
    "brass": calls_and_glides.brass,
}  # fmt: skip
HITS: Final[dict[str, Hit]] = {
    "clicks": _click, "door knocks": _knock, "typing": _key, "glass": _glass, "drums": _drum, "footsteps": _footstep,
}  # fmt: skip
SOUNDS: Final[dict[str, Callable[[Random, int], Float64Array]]] = {
    **{name: _play(tone) for name, tone in TONES.items()},
    **{name: _repeat(hit) for name, hit in HITS.items()},
    "noise": lambda random, count: np.asarray(make_noise(count, random), np.float64),
    "music": lambda random, count: np.asarray(make_music(count, random), np.float64),
    "filtered noise": _filtered,
    "rain": _rain,
    "engine": _engine,
    "alarm": _alarm,
    "sirens": calls_and_glides.siren,
    "horn sirens": calls_and_glides.horn_siren,
    "theremin": calls_and_glides.theremin,
    "whistled tunes": calls_and_glides.whistled_tune,
    "barks": calls_and_glides.calls(calls_and_glides.bark),
    "long calls": calls_and_glides.calls(calls_and_glides.long_call),
    "grunts": calls_and_glides.calls(calls_and_glides.grunt),
    "insects": calls_and_glides.insects,
    "harmonic alarms": signals_and_vowels.harmonic_alarm,
    "harmonic sirens": signals_and_vowels.harmonic_siren,
    "motor horns": signals_and_vowels.motor_horn,
    "tuned bells": signals_and_vowels.tuned_bells,
    "synthesisers": signals_and_vowels.synthesiser,
    "calls with formants": calls_and_glides.calls(signals_and_vowels.vowel_call),
    "mixture": _mix,
}
"""Kinds of sounds by name."""


def make_sound(kind: str, random: Random, count: int) -> Samples:
    """Return sound (count,) of a kind of :data:`SOUNDS`, with a peak of 0.5."""
    sound = SOUNDS[kind](random, count)
    peak = float(np.abs(sound).max())
    return np.asarray(0.5 * sound / max(peak, 1e-9), np.float32)
