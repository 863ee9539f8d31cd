"""Synthetic alarms, sirens, horns, bells and calls: pitch, harmonics, beats, moving formants, reverberation."""

import numpy as np
import pytest

from sadtalker_ext.training.corpus import signals_and_vowels
from sadtalker_ext.training.corpus.signals_and_vowels import (
    harmonic_alarm,
    harmonic_siren,
    motor_horn,
    moving_resonances,
    reverberate,
    vowel_call,
)

RATE_HZ = 16_000


def rng(seed=1):
    return np.random.default_rng(seed)


def power(samples):
    return np.square(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))


@pytest.mark.parametrize("kind", [harmonic_alarm, harmonic_siren, motor_horn])
def test_tones_have_many_harmonics(kind):
    """A pure tone has nearly all power in one band of 100 Hz at any time; these have it in several."""
    shares = []
    for seed in range(8):
        frames = kind(rng(seed), RATE_HZ)[: 15 * 1024].reshape(15, 1024)
        bands = np.square(np.abs(np.fft.rfft(frames * np.hanning(1024), axis=1)))[:, :510].reshape(15, -1, 6).sum(2)
        loud = bands[bands.sum(axis=1) > 0.01 * bands.sum(axis=1).max()]
        shares.append(np.mean(loud.max(axis=1) / loud.sum(axis=1)))
    assert np.mean(shares) < 0.8


def test_resonances_move_and_add_no_tone():
    noise = rng(5).normal(size=2 * RATE_HZ)
    shaped = moving_resonances(noise, rng(3), 1, 1.0)
    assert shaped.shape == noise.shape
    bands = np.array([power(part)[:1800].reshape(60, 30).sum(1) for part in np.split(shaped, 8)])
    centres = (bands * np.arange(60)).sum(1) / bands.sum(1)
    assert centres.std() > 1.0
    assert np.abs(moving_resonances(np.zeros(RATE_HZ), rng(3), 3, 0.5)).max() == 0.0


def test_resonances_without_gain_leave_the_samples(monkeypatch):
    monkeypatch.setattr(signals_and_vowels, "FORMANTS_HZ", ())
    samples = rng(2).normal(size=4000)
    shaped = moving_resonances(samples, rng(3), 0, 0.5)[1000:3000]
    assert np.corrcoef(shaped, samples[1000:3000])[0, 1] > 0.999


def test_calls_are_short_and_finite():
    for seed in range(20):
        call = vowel_call(rng(seed))
        assert 0.05 * RATE_HZ < len(call) < 2 * RATE_HZ
        assert np.isfinite(call).all()
        assert np.abs(call).max() > 0.0


def test_reverberation_keeps_length_and_peak_and_continues_after_a_sound():
    samples = np.zeros(RATE_HZ, np.float32)
    samples[100:2000] = rng(1).uniform(-0.5, 0.5, 1900)
    heard = reverberate(samples, rng(4))
    assert (heard.shape, heard.dtype) == (samples.shape, np.float32)
    assert np.abs(heard).max() == pytest.approx(np.abs(samples).max(), rel=1e-5)
    assert np.abs(heard[:100]).max() < 1e-6
    early, late = (np.square(heard[first : first + 1000]).mean() for first in (2000, 5000))
    assert early > late > 0.0
    np.testing.assert_array_equal(heard, reverberate(samples, rng(4)))
