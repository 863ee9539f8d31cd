"""The mouth of the starter: opening and width as LipMotion says, shapes as SpeechToExpression says."""

import numpy as np
import pytest
from test_speech_motion import wave

from sadtalker_ext.engines.starter.lip_curves import LipTrack
from sadtalker_ext.engines.starter.mouth_motion import (
    JAW_OPENING,
    LEAD_S,
    OPENING_GAIN,
    WIDTH_GAIN,
    advance,
    believed_closures,
    combine,
    open_mouth_motion,
    shape_width,
    sound_gate,
    speech_gate,
)
from sadtalker_ext.engines.starter.speech_motion import SPEECH_SHAPES
from sadtalker_ext.metrics.sync import mouth_opening, mouth_width
from sadtalker_ext.models.lip_motion import LipMotionConfig
from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.puppet.mouth_fields import PUCKER_NARROWS, SPREAD_WIDENS
from sadtalker_ext.training.clips.practice_speech import speech_from_samples

TYPICAL = LipMotionConfig(opening_mean=0.08, opening_scale=0.05, width_mean=0.57, width_scale=0.04)


def curves(frames, **shapes):
    table = np.zeros((frames, len(SPEECH_SHAPES)), np.float32)
    for name, values in {"jaw_open": 0.3, **shapes}.items():
        table[:, SPEECH_SHAPES.index(name)] = values
    return table


def lips(frames, opening=0.0, width=0.0):
    values = np.stack([np.broadcast_to(opening, frames), np.broadcast_to(width, frames)], 1).astype(np.float32)
    return LipTrack(values, np.full(frames, 0.01, np.float32))


@pytest.mark.parametrize("shape", [{}, {"upper_lip_raise": 0.8, "lower_lip_drop": 0.9}, {"pucker": 0.7}])
@pytest.mark.parametrize("opening", [-1.0, 0.0, 1.0, 2.0])
def test_lips_open_as_predicted_whatever_shape_does_it(opening, shape):
    mouth = combine(curves(40, **shape), lips(40, opening), TYPICAL)
    expected = max(0.0, 0.08 + OPENING_GAIN * 0.05 * opening) / JAW_OPENING
    np.testing.assert_allclose(mouth_opening(mouth)[10:30], expected, atol=1e-5)
    assert mouth.min() >= 0.0
    assert mouth.max() <= 1.0


@pytest.mark.parametrize("width", [-2.0, 0.0, 1.0])
def test_mouth_is_as_wide_as_predicted(width):
    mouth = combine(curves(60, spread=0.2, pucker=0.4), lips(60, 0.0, width), TYPICAL)
    np.testing.assert_allclose(mouth_width(mouth)[30], 1 + WIDTH_GAIN * 0.04 / 0.57 * width, atol=1e-5)


def test_corners_come_in_as_the_jaw_drops():
    """An opened mouth is tracked wider, so the corners have to come in to keep the predicted width."""
    mouth = combine(curves(60), lips(60, np.where(np.arange(60) < 30, -1.0, 2.0)), TYPICAL)
    width = mouth_width(mouth)
    assert width[45] < width[15] - 0.02


def test_what_spread_and_pucker_have_in_common_is_kept():
    spread, pucker = (np.full(1, value, np.float32) for value in (0.2, 0.4))
    wider, narrower = shape_width(spread, pucker, np.zeros(1, np.float32))
    assert wider * SPREAD_WIDENS == pytest.approx(narrower * PUCKER_NARROWS)
    assert wider == pytest.approx(0.2)


def test_tucked_lip_still_opens_as_predicted():
    mouth = combine(curves(40, lip_tuck=1.0), lips(40, 0.5), TYPICAL)
    assert mouth[20, MOUTH_SHAPES.index("lip_tuck")] == 1.0
    np.testing.assert_allclose(mouth_opening(mouth)[20], (0.08 + OPENING_GAIN * 0.025) / JAW_OPENING, atol=1e-5)


def test_closure_is_complete_where_both_agree_or_one_is_certain():
    closed = np.array([0.2, 0.2, 0.9, 0.05], np.float32)
    opening = np.array([-1.0, 1.0, 1.0, -1.0], np.float32)
    np.testing.assert_allclose(believed_closures(closed, opening), [1, 0, 1, 0], atol=1e-6)
    certain = curves(30, lips_closed=np.where(np.arange(30) == 15, 0.95, 0.0))
    opened = mouth_opening(combine(certain, lips(30, 1.0), TYPICAL))
    assert opened[15] == 0.0
    assert opened[[13, 17]].min() > 0.3


def test_mouth_is_closed_and_rests_without_speech():
    quiet = curves(200, jaw_open=np.where(np.arange(200) < 40, 0.3, 0.0))
    mouth = combine(quiet, lips(200, 1.0, 1.0), TYPICAL)
    assert mouth_opening(mouth)[20] > 0.4
    assert mouth_opening(mouth)[55:].max() == 0.0
    assert mouth_width(mouth)[75:] == pytest.approx(1.0)
    assert speech_gate(curves(5, jaw_open=0.0), 8).max() == 0.0


def test_mouth_is_closed_while_the_sound_is_silent():
    power = np.full(120, 0.01, np.float32)
    power[40:80] = 1e-7
    opening = mouth_opening(combine(curves(120), lips(120, 1.0)._replace(power=power), TYPICAL))
    assert opening[50:70].max() == 0.0
    assert opening[[30, 42, 77, 100]].min() > 0.2
    assert sound_gate(power * 1e-4) == pytest.approx(sound_gate(power), abs=1e-6)
    assert sound_gate(np.zeros(10, np.float32)) == pytest.approx(1.0)


def test_lips_lead_by_the_stated_time():
    ramp = lips(20, np.arange(20.0))
    np.testing.assert_allclose(advance(ramp.lips, LEAD_S)[:15, 0], np.arange(15) + LEAD_S * 25, atol=1e-5)


def test_no_frames():
    assert combine(curves(0), lips(0), TYPICAL).shape == (0, len(MOUTH_SHAPES))


def test_shipped_networks_open_the_mouth_in_speech_only():
    motion = open_mouth_motion()
    samples = np.concatenate([wave(4.0), np.zeros(48000, np.float32)])
    opening = mouth_opening(motion.predict(speech_from_samples(samples)))
    assert opening[10:95].mean() > 0.1
    assert opening[120:].max() < 0.02 * opening[10:95].mean()
    noise = 0.05 * np.random.default_rng(1).normal(size=80_000).astype(np.float32)
    assert mouth_opening(motion.predict(speech_from_samples(noise))).mean() < 0.02 * opening[10:95].mean()
