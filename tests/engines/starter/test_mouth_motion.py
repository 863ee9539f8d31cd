"""The mouth of the starter: opening and width as LipMotion says, shapes as SpeechToExpression says."""

import numpy as np
import pytest
from test_speech_motion import wave

from sadtalker_ext.engines.starter.lip_curves import LipTrack
from sadtalker_ext.engines.starter.lip_response import (
    TRACKED_WIDTH_SHARE,
    LipResponse,
    tracked_opening,
    tracked_widening,
)
from sadtalker_ext.engines.starter.mouth_motion import (
    LEAD_S,
    OPENING_GAIN,
    WIDTH_GAIN,
    advance,
    believed_closures,
    combine,
    open_mouth_motion,
    sound_gate,
    speech_gate,
)
from sadtalker_ext.engines.starter.speech_motion import SPEECH_SHAPES
from sadtalker_ext.metrics.sync import mouth_opening, mouth_width
from sadtalker_ext.models.lip_motion import LipMotionConfig
from sadtalker_ext.puppet.basis import MOUTH_SHAPES
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
    response = LipResponse(jaw_opening=0.33)
    mouth = combine(curves(40, **shape), lips(40, opening), TYPICAL, response)
    expected = max(0.0, 0.08 + OPENING_GAIN * 0.05 * opening)
    seen = tracked_opening(mouth_opening(mouth) * response.jaw_opening)
    np.testing.assert_allclose(seen[10:30], expected, atol=1e-4)
    assert mouth.min() >= 0.0
    assert mouth.max() <= 1.0


def seen_width(mouth, response):
    """The width that a tracker sees, relative to the mouth at rest."""
    opened = tracked_opening(mouth_opening(mouth) * response.jaw_opening)
    return tracked_widening(opened) + TRACKED_WIDTH_SHARE * (mouth_width(mouth, response.excess_width) - 1.0)


@pytest.mark.parametrize("response", [LipResponse(), LipResponse(0.3, 0.25)])
@pytest.mark.parametrize("width", [-1.2, 0.0, 0.5])
@pytest.mark.parametrize("opening", [-1.0, 0.0, 2.0])
def test_mouth_is_seen_as_wide_as_predicted_however_far_it_opens(opening, width, response):
    closed = {"spread": 0.2, "pucker": 0.4}
    mouth = combine(curves(60, **closed), lips(60, opening, width), TYPICAL, response)
    usual = combine(curves(60, **closed), lips(60, 0.0, 0.0), TYPICAL, response)
    change = seen_width(mouth, response)[30] - seen_width(usual, response)[30]
    assert change == pytest.approx(WIDTH_GAIN * 0.04 / 0.57 * width, abs=1e-4)


def test_tucked_lip_still_opens_as_predicted():
    mouth = combine(curves(40, lip_tuck=1.0), lips(40, 0.5), TYPICAL)
    assert mouth[20, MOUTH_SHAPES.index("lip_tuck")] == 1.0
    expected = LipResponse().opening_for(np.full(1, 0.08 + OPENING_GAIN * 0.025, np.float32))
    np.testing.assert_allclose(mouth_opening(mouth)[20], expected[0], atol=1e-5)


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
    assert mouth_width(mouth)[75:] == pytest.approx(1.0, abs=1e-6)
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
