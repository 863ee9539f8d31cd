"""Augmentation of clean synthetic speech: other voices, rooms, noises, microphones and codecs.

All functions work on a :class:`Stream`, audio with its phones, and keep the two synchronous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.ffmpeg import convert
from sadtalker_ext.training.corpus.articulation import Phones
from sadtalker_ext.training.corpus.background_sounds import make_music, make_noise
from sadtalker_ext.training.corpus.resampling import resample_to_16k

if TYPE_CHECKING:
    from collections.abc import Callable

    from sadtalker_ext.arrays import Samples

    Random = np.random.Generator

_SPEECH_RMS: Final = 0.07
_MAX_DELAY_S: Final = 0.1
"""Codecs and time stretching delay the audio by less than this."""
_DELAY_SEARCH_S: Final = 8
"""The delay is measured on this much audio from the start."""
_CODECS: Final = (
    ("mp3", "libmp3lame", ("32k", "48k", "64k", "96k")),
    ("ogg", "libopus", ("8k", "12k", "16k", "32k")),
    ("ogg", "libvorbis", ("32k", "48k")),
    ("adts", "aac", ("24k", "48k")),
    ("wav", "pcm_mulaw", ("64k",)),
    ("wav", "adpcm_ima_wav", ("64k",)),
)
"""ffmpeg's container, encoder and bit rates."""
_RAW: Final = ("-f", "f32le", "-ar", str(SAMPLE_RATE_HZ), "-ac", "1")
"""ffmpeg options of mono float32 samples without a container."""


class Stream(NamedTuple):
    """Audio and its phones. samples: (N,) float32 at 16 kHz. phones: times in seconds from the first sample."""

    samples: Samples
    phones: Phones


def augment(stream: Stream, babble: Samples, random: Random) -> Stream:
    """Return a random version of ``stream``; ``babble`` (N,) is speech of other people for the background."""
    stream = _change_voice(stream, random)
    stream = _change_tempo_or_pitch(stream, random)
    samples = _normalise_rms(stream.samples)
    samples, phones = _change_loudness(samples, stream.phones, random)
    samples = _apply_with_chance(0.7, _equalise, samples, random)
    samples = _apply_with_chance(0.5, _reverberate, samples, random)
    samples = _add_background(samples, babble, random)
    samples = _apply_with_chance(0.25, _limit_band, samples, random)
    samples = _apply_with_chance(0.15, _overdrive, samples, random)
    samples = _apply_with_chance(0.35, _encode_and_decode, samples, random)
    gain = 10 ** (random.uniform(-22, 8) / 20)
    return Stream(np.clip(samples * gain, -1, 1).astype(np.float32), phones)


def _apply_with_chance(
    chance: float, change: Callable[[Samples, Random], Samples], samples: Samples, random: Random
) -> Samples:
    return change(samples, random) if random.random() < chance else samples


def _normalise_rms(samples: Samples) -> Samples:
    rms = np.sqrt(np.mean(np.square(samples)) + 1e-12)
    return samples * np.float32(_SPEECH_RMS / rms)


def _scale_time(phones: Phones, factor: float) -> Phones:
    """Return the phones with all times multiplied by ``factor``."""
    return phones._replace(start_s=phones.start_s * factor, end_s=phones.end_s * factor)


def _change_voice(stream: Stream, random: Random) -> Stream:
    """Change formants, pitch and tempo by one factor, as another vocal tract length does: 1.2 is like a child."""
    rate_hz = round(SAMPLE_RATE_HZ * float(np.clip(np.exp(random.normal(0, 0.11)), 0.78, 1.3)))
    samples = resample_to_16k(stream.samples, rate_hz)
    return Stream(samples, _scale_time(stream.phones, SAMPLE_RATE_HZ / rate_hz))


def _change_tempo_or_pitch(stream: Stream, random: Random) -> Stream:
    """Change the tempo, or the pitch with the formants kept, or neither."""
    # ffmpeg, not librosa: its phase vocoder smears onsets and takes 3 times as long, and pitch_shift moves formants.
    draw = random.random()
    if draw < 0.35:
        tempo = float(np.exp(random.normal(0, 0.15)))
        samples = _filter(stream.samples, f"atempo={tempo:.3f}")
        return Stream(samples, _scale_time(stream.phones, 1 / tempo))
    if draw < 0.6:
        pitch = float(np.exp(random.normal(0, 0.2)))
        samples = _filter(stream.samples, f"rubberband=pitch={pitch:.3f}:formant=preserved")
        return Stream(_remove_delay(samples, stream.samples), stream.phones)
    return stream


def _change_loudness(samples: Samples, phones: Phones, random: Random) -> tuple[Samples, Phones]:
    """Apply a gain that changes by some dB over seconds, to the samples and to the level of the phones."""
    knots_s = np.arange(0, len(samples) / SAMPLE_RATE_HZ + 2.0, 1.0)
    depth_db = random.uniform(0, 6)
    gain_db = np.clip(random.normal(0, 1, len(knots_s)) * depth_db, -14, 6)
    times_s = np.arange(len(samples)) / SAMPLE_RATE_HZ
    curve_db = np.interp(times_s, knots_s, gain_db)
    middle_s = (phones.start_s + phones.end_s) / 2
    louder = phones._replace(level_db=phones.level_db + np.interp(middle_s, knots_s, gain_db))
    return (samples * 10 ** (curve_db / 20)).astype(np.float32), louder


def _equalise(samples: Samples, random: Random) -> Samples:
    """Apply a smooth random frequency response, about +-10 dB, with a tilt: rooms, microphones and other voices."""
    from scipy.signal import fftconvolve

    bins = np.linspace(0, 1, 129)
    knots = np.linspace(0, 1, int(random.integers(4, 9)))
    response_db = np.interp(bins, knots, random.normal(0, 4, len(knots))) + random.normal(0, 5) * (bins - 0.3)
    kernel = np.fft.fftshift(np.fft.irfft(10 ** (response_db / 20))) * np.hanning(256)
    return np.asarray(fftconvolve(samples, kernel, mode="full")[128 : 128 + len(samples)], np.float32)


def _reverberate(samples: Samples, random: Random) -> Samples:
    """Add a decaying noise tail to the direct sound; it falls by 60 dB in 0.1 to 0.8 s."""
    from scipy.signal import oaconvolve

    decay_s = random.uniform(0.1, 0.8)
    times_s = np.arange(int(decay_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = random.standard_normal(len(times_s)) * np.exp(-6.9 * times_s / decay_s)
    tail[: int(0.003 * SAMPLE_RATE_HZ)] = 0
    tail *= 10 ** (random.uniform(-14, 1) / 20) / np.sqrt(np.sum(tail**2) + 1e-9)
    tail[0] = 1.0
    return np.asarray(oaconvolve(samples, tail)[: len(samples)], np.float32)


def _add_background(samples: Samples, babble: Samples, random: Random) -> Samples:
    """Add noise, music or nothing, sometimes other speech, and hiss; pauses get it too."""
    kinds = (None, make_noise, make_music, None)
    make = kinds[int(random.integers(4))]
    result = samples
    if make is not None:
        noise = make(len(samples), random)
        result = samples + noise * np.float32(_SPEECH_RMS * 10 ** (-random.uniform(3, 30) / 20))
    if random.random() < 0.2:
        start = int(random.integers(max(1, len(babble) - len(samples))))
        others = np.resize(babble[start:], len(samples))
        result = result + _normalise_rms(others) * np.float32(10 ** (-random.uniform(12, 28) / 20))
    hiss = random.standard_normal(len(samples)) * _SPEECH_RMS * 10 ** (-random.uniform(30, 70) / 20)
    return (result + hiss).astype(np.float32)


def _limit_band(samples: Samples, random: Random) -> Samples:
    """Apply a telephone band-pass, or a low-pass at 2.8 to 7 kHz."""
    from scipy.signal import butter, sosfilt

    rate_hz = SAMPLE_RATE_HZ
    if random.random() < 0.5:
        band = butter(4, [random.uniform(150, 350), random.uniform(3000, 3800)], "bandpass", fs=rate_hz, output="sos")
    else:
        band = butter(6, random.uniform(2800, 7000), "lowpass", fs=rate_hz, output="sos")
    return np.asarray(sosfilt(band, samples), np.float32)


def _overdrive(samples: Samples, random: Random) -> Samples:
    drive = random.uniform(1, 6)
    return np.asarray(np.tanh(samples / (3 * _SPEECH_RMS) * drive) * (3 * _SPEECH_RMS) / drive, np.float32)


def _encode_and_decode(samples: Samples, random: Random) -> Samples:
    """Return the samples after a lossy codec."""
    container, codec, rates = _CODECS[int(random.integers(len(_CODECS)))]
    rate = str(random.choice(rates))
    coded = convert(samples.tobytes(), _RAW, ("-c:a", codec, "-b:a", rate, "-f", container))
    raw = convert(coded, ("-format_whitelist", "aac,mp3,ogg,wav"), _RAW)
    return _remove_delay(np.frombuffer(raw, np.float32), samples)


def _filter(samples: Samples, description: str) -> Samples:
    """Return the samples after an ffmpeg audio filter."""
    return np.frombuffer(convert(samples.tobytes(), _RAW, ("-af", description, "-f", "f32le")), np.float32)


def _remove_delay(changed: Samples, original: Samples) -> Samples:
    """Return ``changed`` aligned with ``original`` and as long.

    The delay, up to 0.1 s in either direction, is the peak of the cross-correlation of the magnitudes.
    """
    count = min(len(changed), len(original), _DELAY_SEARCH_S * SAMPLE_RATE_HZ)
    reach = round(_MAX_DELAY_S * SAMPLE_RATE_HZ)
    a, b = np.abs(changed[:count]), np.abs(original[:count])
    size = 1 << int(np.ceil(np.log2(2 * max(count, 2))))
    correlation = np.fft.irfft(np.fft.rfft(a - a.mean(), size) * np.conj(np.fft.rfft(b - b.mean(), size)), size)
    near = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
    delay = int(np.argmax(near)) - reach
    shifted = changed[delay:] if delay > 0 else np.concatenate([np.zeros(-delay, np.float32), changed])
    return np.asarray(np.pad(shifted[: len(original)], (0, max(0, len(original) - len(shifted)))), np.float32)
