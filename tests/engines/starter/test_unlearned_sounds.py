"""Sounds from other formulas than those of the training leave the mouth closed: recursive filters, standard waves."""

import numpy as np
import pytest
from scipy import signal

from sadtalker_ext.engines.starter.mouth_motion import open_mouth_motion
from sadtalker_ext.metrics.sync import mouth_opening
from sadtalker_ext.training.clips.practice_speech import speech_from_samples

RATE_HZ = 16_000
TIMES_S = np.arange(3 * RATE_HZ) / RATE_HZ


def turns(hz):
    return np.cumsum(np.broadcast_to(hz, TIMES_S.shape)) / RATE_HZ


def saw(hz):
    return signal.sawtooth(2 * np.pi * turns(hz))


def low_pass(samples, hz):
    return signal.lfilter(*signal.butter(2, hz, fs=RATE_HZ), samples)


def peak(samples, hz, quality=6.0):
    return signal.lfilter(*signal.iirpeak(hz, quality, fs=RATE_HZ), samples)


def two_tone_siren():
    return low_pass(signal.square(2 * np.pi * turns(np.where(TIMES_S % 1.0 < 0.5, 440.0, 585.0))), 3000)


def wailing_siren():
    return peak(saw(600.0 + 900.0 * (0.5 + 0.5 * signal.sawtooth(2 * np.pi * 0.3 * TIMES_S, 0.6))), 1400, 1.5)


def car_horn():
    return np.tanh(2 * (saw(400.0) + saw(498.0))) * (TIMES_S % 1.5 < 0.9)


def violin():
    tone = saw(440.0 * (1 + 0.012 * np.sin(2 * np.pi * 5.5 * TIMES_S)))
    return sum(peak(tone, hz) for hz in (300.0, 700.0, 1200.0, 2500.0)) * np.minimum(1, TIMES_S % 0.75 / 0.08)


def quacks():
    pulses = np.diff(np.floor(turns(200.0 * (1.0 - 0.2 * (TIMES_S % 0.35)))), prepend=0.0)
    return sum(peak(pulses, hz, 5) for hz in (1100.0, 2200.0, 3100.0)) * (TIMES_S % 0.35 < 0.2)


def church_bell():
    ratios = ((0.5, 0.4), (1.0, 0.8), (1.2, 1.2), (2.0, 1.3), (2.6, 2.5))
    return sum(np.sin(2 * np.pi * 320.0 * ratio * TIMES_S) * np.exp(-fade * TIMES_S) for ratio, fade in ratios)


@pytest.fixture(scope="module")
def shipped():
    return open_mouth_motion()


@pytest.mark.parametrize("sound", [two_tone_siren, wailing_siren, car_horn, violin, quacks, church_bell])
def test_mouth_stays_closed(shipped, sound):
    samples = sound() + 1e-3 * np.random.default_rng(0).normal(size=len(TIMES_S))
    samples = (0.5 * samples / np.abs(samples).max()).astype(np.float32)
    assert mouth_opening(shipped.predict(speech_from_samples(samples))).max() < 0.01
