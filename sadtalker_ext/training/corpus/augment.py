"""Make clean synthetic speech sound like the world: other throats, rooms, noises, microphones and codecs.

Everything works on a :class:`Stream`, sound with its phones, and keeps the two in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.ffmpeg import convert
from sadtalker_ext.training.corpus.articulation import Phones

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    Random = np.random.Generator

RATE_HZ: Final = 16000
_SPEECH_RMS: Final = 0.07
_LOOP: Final = 1 << 18
"""Made-up noise and music repeat after this many samples, 16 s."""

_CODECS: Final = (
    ("mp3", "libmp3lame", ("32k", "48k", "64k", "96k")),
    ("ogg", "libopus", ("8k", "12k", "16k", "32k")),
    ("ogg", "libvorbis", ("32k", "48k")),
    ("adts", "aac", ("24k", "48k")),
    ("wav", "pcm_mulaw", ("64k",)),
    ("wav", "adpcm_ima_wav", ("64k",)),
)
_RAW: Final = ("-f", "f32le", "-ar", str(RATE_HZ), "-ac", "1")


class Stream(NamedTuple):
    """samples: (N,) float32 at 16 kHz; phones in seconds of it. Speech has an RMS of about 0.07 before the gain."""

    samples: Samples
    phones: Phones


def augment(stream: Stream, babble: Samples, random: Random) -> Stream:
    """One random version of ``stream``; ``babble`` is other people's speech to put behind it."""
    stream = _change_throat(stream, random)
    stream = _change_tempo(stream, random)
    samples = _level(stream.samples)
    samples, phones = _swell(samples, stream.phones, random)
    samples = _sometimes(0.7, _equalise, samples, random)
    samples = _sometimes(0.5, _reverberate, samples, random)
    samples = _add_background(samples, babble, random)
    samples = _sometimes(0.25, _limit_band, samples, random)
    samples = _sometimes(0.15, _overdrive, samples, random)
    samples = _sometimes(0.35, _code, samples, random)
    gain = 10 ** (random.uniform(-22, 8) / 20)
    return Stream(np.clip(samples * gain, -1, 1).astype(np.float32), phones)


def _sometimes(
    chance: float, change: Callable[[Samples, Random], Samples], samples: Samples, random: Random
) -> Samples:
    return change(samples, random) if random.random() < chance else samples


def _level(samples: Samples) -> Samples:
    loud = np.sqrt(np.mean(np.square(samples)) + 1e-12)
    return samples * np.float32(_SPEECH_RMS / loud)


def scale_time(phones: Phones, factor: float) -> Phones:
    """The same phones when everything takes ``factor`` times as long."""
    return phones._replace(start_s=phones.start_s * factor, end_s=phones.end_s * factor)


def _change_throat(stream: Stream, random: Random) -> Stream:
    """Resampling moves formants, pitch and tempo together: 1.2 is a child of a man's voice, 0.85 a giant."""
    rate_hz = round(RATE_HZ * float(np.clip(np.exp(random.normal(0, 0.11)), 0.78, 1.3)))
    samples = _filter(stream.samples, f"asetrate={rate_hz},aresample={RATE_HZ}")
    return Stream(samples, scale_time(stream.phones, RATE_HZ / rate_hz))


def _change_tempo(stream: Stream, random: Random) -> Stream:
    """Tempo alone, or pitch with the formants kept, as another person with the same throat would speak."""
    draw = random.random()
    if draw < 0.35:
        tempo = float(np.exp(random.normal(0, 0.15)))
        samples = _filter(stream.samples, f"atempo={tempo:.3f}")
        return Stream(samples, scale_time(stream.phones, 1 / tempo))
    if draw < 0.6:
        pitch = float(np.exp(random.normal(0, 0.2)))
        samples = _filter(stream.samples, f"rubberband=pitch={pitch:.3f}:formant=preserved")
        return Stream(_aligned(samples, stream.samples), stream.phones)
    return stream


def _swell(samples: Samples, phones: Phones, random: Random) -> tuple[Samples, Phones]:
    """Slow changes of loudness, some dB over seconds; the effort of the phones follows them."""
    knots = np.arange(0, len(samples) / RATE_HZ + 2.0, 1.0)
    depth_db = random.uniform(0, 6)
    gain_db = np.clip(random.normal(0, 1, len(knots)) * depth_db, -14, 6)
    times = np.arange(len(samples)) / RATE_HZ
    curve = np.interp(times, knots, gain_db)
    middle = (phones.start_s + phones.end_s) / 2
    louder = phones._replace(level_db=phones.level_db + np.interp(middle, knots, gain_db))
    return (samples * 10 ** (curve / 20)).astype(np.float32), louder


def _equalise(samples: Samples, random: Random) -> Samples:
    """A smooth random frequency response, +-10 dB, with a tilt: rooms, microphones and other voices."""
    from scipy.signal import fftconvolve

    bins = np.linspace(0, 1, 129)
    knots = np.linspace(0, 1, int(random.integers(4, 9)))
    response_db = np.interp(bins, knots, random.normal(0, 4, len(knots))) + random.normal(0, 5) * (bins - 0.3)
    kernel = np.fft.fftshift(np.fft.irfft(10 ** (response_db / 20))) * np.hanning(256)
    return np.asarray(fftconvolve(samples, kernel, mode="full")[128 : 128 + len(samples)], np.float32)


def _reverberate(samples: Samples, random: Random) -> Samples:
    """A decaying tail of noise behind the direct sound: 0.1 to 0.8 s until it is 60 dB down."""
    from scipy.signal import oaconvolve

    decay_s = random.uniform(0.1, 0.8)
    times = np.arange(int(decay_s * RATE_HZ)) / RATE_HZ
    tail = random.standard_normal(len(times)) * np.exp(-6.9 * times / decay_s)
    tail[: int(0.003 * RATE_HZ)] = 0
    tail *= 10 ** (random.uniform(-14, 1) / 20) / np.sqrt(np.sum(tail**2) + 1e-9)
    tail[0] = 1.0
    return np.asarray(oaconvolve(samples, tail)[: len(samples)], np.float32)


def _add_background(samples: Samples, babble: Samples, random: Random) -> Samples:
    """Nothing, hiss, hum, other people or music; it also sounds where nobody speaks."""
    kinds = (None, coloured_noise, music, None)
    kind = kinds[int(random.integers(4))]
    result = samples
    if kind is not None:
        noise = kind(len(samples), random)
        result = samples + noise * np.float32(_SPEECH_RMS * 10 ** (-random.uniform(3, 30) / 20))
    if random.random() < 0.2:
        start = int(random.integers(max(1, len(babble) - len(samples))))
        behind = np.resize(babble[start:], len(samples))
        result = result + _level(behind) * np.float32(10 ** (-random.uniform(12, 28) / 20))
    hiss = random.standard_normal(len(samples)) * _SPEECH_RMS * 10 ** (-random.uniform(30, 70) / 20)
    return (result + hiss).astype(np.float32)


def coloured_noise(count: int, random: Random) -> Samples:
    """(count,) noise of RMS 1 whose power falls with 1 / f^c, c 0..2, sometimes swelling or with mains hum."""
    spectrum = np.fft.rfft(random.standard_normal(_LOOP))
    frequency = np.maximum(np.arange(len(spectrum)) / len(spectrum), 1e-3)
    noise = np.resize(np.fft.irfft(spectrum * frequency ** (-random.uniform(0, 1)), _LOOP), count)
    times = np.arange(count) / RATE_HZ
    if random.random() < 0.5:
        noise *= 1 + 0.7 * np.sin(2 * np.pi * (random.uniform(0.1, 3) * times + random.random()))
    if random.random() < 0.3:
        base_hz = random.choice([50.0, 60.0, 100.0])
        hum = sum(np.sin(2 * np.pi * base_hz * k * times) / k for k in range(1, 8))
        noise += np.std(noise) * hum
    return np.asarray(noise / (np.std(noise) + 1e-9), np.float32)


def music(count: int, random: Random) -> Samples:
    """(count,) chords and beats of RMS 1: notes with harmonics, attacks and decays, in bars, and drums of noise."""
    beat_s = random.uniform(0.25, 0.7)
    whole, count = count, min(count, _LOOP)
    result = np.zeros(count)
    length = int(beat_s * RATE_HZ)
    times = np.arange(4 * length) / RATE_HZ
    brightness, sustain = random.uniform(0.3, 1.2), random.uniform(0.5, 6)
    for start in range(0, count, length):
        for _ in range(int(random.integers(1, 4))):
            pitch_hz = 55 * 2 ** (random.integers(0, 48) / 12)
            partials = [k for k in range(1, 9) if k * pitch_hz < RATE_HZ / 2]
            tone = sum(np.sin(2 * np.pi * k * pitch_hz * times) * k ** (-1 / brightness) for k in partials)
            tone = tone * np.exp(-sustain * times) * np.minimum(1, times / 0.01)
            result[start : start + len(tone)] += tone[: count - start]
        if random.random() < 0.4:
            drum = random.standard_normal(length) * np.exp(-random.uniform(8, 40) * times[:length])
            result[start : start + length] += 1.5 * drum[: count - start]
    return np.asarray(np.resize(result / (np.std(result) + 1e-9), whole), np.float32)


def _limit_band(samples: Samples, random: Random) -> Samples:
    """Telephone, or a low-pass at 2.8 to 7 kHz."""
    from scipy.signal import butter, sosfilt

    if random.random() < 0.5:
        band = butter(4, [random.uniform(150, 350), random.uniform(3000, 3800)], "bandpass", fs=RATE_HZ, output="sos")
    else:
        band = butter(6, random.uniform(2800, 7000), "lowpass", fs=RATE_HZ, output="sos")
    return np.asarray(sosfilt(band, samples), np.float32)


def _overdrive(samples: Samples, random: Random) -> Samples:
    drive = random.uniform(1, 6)
    return np.asarray(np.tanh(samples / (3 * _SPEECH_RMS) * drive) * (3 * _SPEECH_RMS) / drive, np.float32)


def _code(samples: Samples, random: Random) -> Samples:
    """There and back through a lossy codec."""
    container, codec, rates = _CODECS[int(random.integers(len(_CODECS)))]
    rate = str(random.choice(rates))
    coded = convert(samples.tobytes(), _RAW, ("-c:a", codec, "-b:a", rate, "-f", container))
    raw = convert(coded, ("-format_whitelist", "aac,mp3,ogg,wav"), _RAW)
    return _aligned(np.frombuffer(raw, np.float32), samples)


def _filter(samples: Samples, description: str) -> Samples:
    raw = convert(samples.tobytes(), _RAW, ("-af", description, "-f", "f32le"))
    return np.frombuffer(raw, np.float32)


def _aligned(changed: Samples, original: Samples) -> Samples:
    """``changed`` without the delay a codec or stretcher added (up to 0.1 s either way), as long as ``original``."""
    count, reach = min(len(changed), len(original), 8 * RATE_HZ), RATE_HZ // 10
    a, b = np.abs(changed[:count]), np.abs(original[:count])
    size = 1 << int(np.ceil(np.log2(2 * max(count, 2))))
    both = np.fft.irfft(np.fft.rfft(a - a.mean(), size) * np.conj(np.fft.rfft(b - b.mean(), size)), size)
    lags = np.concatenate([both[-reach:], both[: reach + 1]])
    delay = int(np.argmax(lags)) - reach
    shifted = changed[delay:] if delay > 0 else np.concatenate([np.zeros(-delay, np.float32), changed])
    return np.asarray(np.pad(shifted[: len(original)], (0, max(0, len(original) - len(shifted)))), np.float32)
