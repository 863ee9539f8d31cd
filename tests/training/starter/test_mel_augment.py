"""Augmentation of mel spectrograms: shapes, digital silence, time and effort."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.models.speech_to_expression import SILENCE_LOG_POWER
from sadtalker_ext.training.starter.mel_augment import (
    amplify,
    augment_mel,
    effort_factors,
    interpolate_frames,
    random_gain_curve_db,
    random_time_warp,
)


def step(count=200):
    mel = np.full((count, 80), -12, np.float32)
    mel[count // 2 :] = -6
    return mel


@pytest.mark.parametrize("seed", range(8))
def test_augmentation_does_not_move_a_step_in_loudness(seed):
    changed = augment_mel(step(), np.random.default_rng(seed))
    assert changed.shape == (200, 80)
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert np.diff(changed.mean(1)).argmax() == 99


def test_digital_silence_stays_silent_when_amplified():
    mel = np.full((4, 80), SILENCE_LOG_POWER, np.float32)
    assert np.array_equal(amplify(mel, np.full((4, 1), 6.0, np.float32)), mel)
    louder = amplify(step(), np.full((200, 1), 10.0, np.float32))
    np.testing.assert_allclose(louder - step(), np.log(10), rtol=1e-5)


@pytest.mark.parametrize("tempo", [0.8, 1.0, 1.3])
def test_tempo_scales_event_times(tempo):
    changed = interpolate_frames(step(200), tempo * np.arange(round(180 / tempo)))
    assert np.diff(changed.mean(1)).argmax() == pytest.approx(99 / tempo, abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_time_warp_is_smooth_and_increasing(seed):
    steps = np.diff(random_time_warp(2000, np.random.default_rng(seed)))
    assert steps.min() > 0.4
    assert steps.max() < 2.0
    assert np.abs(np.diff(steps)).max() < 0.1
    assert random_time_warp(2000, np.random.default_rng(seed))[0] == 0.0


def test_effort_grows_with_loudness_within_limits():
    factors = effort_factors(np.array([-30.0, -5.0, 0.0, 5.0, 30.0], np.float32))[:, 0]
    assert factors[2] == 1.0
    assert (np.diff(factors) > 0).all()
    assert factors.min() >= 0.4
    assert factors.max() <= 1.4


def test_gain_curve_is_slow():
    curve = random_gain_curve_db(1000, np.random.default_rng(0))
    assert len(curve) == 1000
    assert np.abs(np.diff(curve)).max() < 1.0
