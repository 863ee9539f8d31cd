"""Synthetic sounds without a voice, and variants of voices: level, length, pitch, spectrum, reproducibility."""

import numpy as np
import pytest

from sadtalker_ext.training.corpus.voice_variants import VARIANTS
from sadtalker_ext.training.corpus.voiceless_sounds import SOUNDS, make_sound

RATE_HZ = 16_000


def voice(pitch_hz=120.0, seconds=2.0, formants_hz=(600.0, 1200.0, 2500.0)):
    """A vowel: harmonics of the pitch, weighted by formants."""
    times_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    total = np.zeros(len(times_s))
    for number in range(1, int(7000 / pitch_hz)):
        hz = number * pitch_hz
        total += sum(np.exp(-(((hz - one) / 150) ** 2)) for one in formants_hz) * np.sin(2 * np.pi * hz * times_s)
    return (0.3 * total / np.abs(total).max()).astype(np.float32)


def spectrum(samples):
    return np.abs(np.fft.rfft(samples * np.hanning(len(samples))))


def smooth_spectrum(samples):
    """Return the energies of 24 bands of 250 Hz, relative to their sum."""
    power = spectrum(samples[: 2 * RATE_HZ]) ** 2
    hz = np.linspace(0, RATE_HZ / 2, len(power))
    bands = np.array([power[(hz >= low) & (hz < low + 250)].sum() for low in range(0, 6000, 250)])
    return bands / bands.sum()


def harmonicity(samples):
    """Return the largest normalised autocorrelation at lags of 70 to 400 Hz in the middle of the sound."""
    middle = samples[len(samples) // 2 :][:4096].astype(float)
    correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    return (correlation[40:230] / correlation[0]).max()


@pytest.mark.parametrize("kind", SOUNDS)
def test_sounds_have_the_asked_length_and_level_and_differ_by_seed(kind):
    first, again, other = (make_sound(kind, np.random.default_rng(seed), RATE_HZ) for seed in (3, 3, 4))
    assert first.shape == (RATE_HZ,)
    assert first.dtype == np.float32
    assert np.abs(first).max() == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.parametrize(("variant", "low", "high"), [("high", 1.15, 1.4), ("low", 0.76, 0.9)])
def test_pitch_and_length_change_by_one_factor(variant, low, high):
    samples = VARIANTS[variant](np.random.default_rng(1), voice(150.0))
    factor = 2.0 * RATE_HZ / len(samples)
    assert low <= factor <= high
    hz = np.arange(len(spectrum(samples))) * RATE_HZ / len(samples)
    lowest = np.where(hz < 800.0, spectrum(samples), 0.0).argmax()
    assert hz[lowest] / factor == pytest.approx(600.0, abs=8.0)


def test_a_whisper_keeps_the_formants_and_loses_the_pitch():
    spoken = voice()
    whispered = VARIANTS["whispered"](np.random.default_rng(1), spoken)
    assert len(whispered) == len(spoken)
    assert harmonicity(spoken) > 0.9
    assert harmonicity(whispered) < 0.5
    assert np.corrcoef(smooth_spectrum(spoken), smooth_spectrum(whispered))[0, 1] > 0.8


def test_singing_keeps_the_formants_and_has_a_pitch():
    sung = VARIANTS["sung"](np.random.default_rng(2), voice(seconds=4.0))
    assert len(sung) >= 4 * RATE_HZ
    assert harmonicity(sung) > 0.6
    assert np.corrcoef(smooth_spectrum(voice()), smooth_spectrum(sung))[0, 1] > 0.5


def test_a_shout_is_brighter():
    spoken = voice()
    shouted = VARIANTS["shouted"](np.random.default_rng(1), spoken)
    assert (smooth_spectrum(shouted)[8:].sum()) > smooth_spectrum(spoken)[8:].sum()
    assert np.abs(shouted).max() <= 1.0


@pytest.mark.parametrize("variant", VARIANTS)
def test_silence_and_short_recordings_give_finite_samples(variant):
    for samples in (np.zeros(3000, np.float32), voice(seconds=0.05)):
        assert np.isfinite(VARIANTS[variant](np.random.default_rng(0), samples)).all()


def strongest_hz(samples):
    """Return the strongest frequency of each 64 ms with sound."""
    frames = samples[: len(samples) // 1024 * 1024].reshape(-1, 1024)
    loud = frames[np.abs(frames).max(axis=1) > 0.05]
    return np.abs(np.fft.rfft(loud * np.hanning(1024), axis=1)).argmax(axis=1) * RATE_HZ / 1024


def test_theremins_glide_and_whistled_tunes_keep_notes():
    def medians(kind):
        octaves = [
            np.abs(np.diff(np.log2(strongest_hz(make_sound(kind, np.random.default_rng(seed), 3 * RATE_HZ)))))
            for seed in range(6)
        ]
        return np.median(np.concatenate(octaves)), np.percentile(np.concatenate(octaves), 98)

    glide, _ = medians("theremin")
    held, jump = medians("whistled tunes")
    assert glide > held
    assert jump > 1.5 / 12


def test_calls_of_animals_have_pauses():
    for kind in ("barks", "long calls", "grunts"):
        sound = make_sound(kind, np.random.default_rng(2), 8 * RATE_HZ).reshape(-1, RATE_HZ // 50)
        level = np.abs(sound).max(axis=1)
        assert 0.05 < (level < 0.05).mean() < 0.98, kind
