"""The mouth of the starter: opening and width as predicted by LipMotion, shapes by SpeechToExpression."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.engines.starter.lip_curves import LipTrack
from sadtalker_ext.engines.starter.lip_response import MISSED_OPENING, TRACKED_WIDTH_SHARE, LipResponse
from sadtalker_ext.engines.starter.mouth_motion import (
    LEAD_S,
    OPENING_GAIN,
    WIDTH_GAIN,
    MouthPredictions,
    advance,
    combine,
    confident_closures,
    open_mouth_motion,
    sound_gate,
    speech_gate,
    spoken_opening,
    voice_gate,
)
from sadtalker_ext.engines.starter.speech_motion import SPEECH_SHAPES
from sadtalker_ext.metrics.sync import mouth_opening, mouth_width
from sadtalker_ext.models.lip_motion import LipMotionConfig
from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.training.clips.practice_speech import speech_from_samples
from sadtalker_ext.training.corpus.voice_variants import VARIANTS
from sadtalker_ext.training.corpus.voiceless_sounds import make_sound

TYPICAL = LipMotionConfig(opening_mean=0.08, opening_scale=0.05, width_mean=0.57, width_scale=0.04)


def curves(frames, **shapes):
    table = np.zeros((frames, len(SPEECH_SHAPES)), np.float32)
    for name, values in {"jaw_open": 0.3, **shapes}.items():
        table[:, SPEECH_SHAPES.index(name)] = values
    return table


def lips(frames, opening=0.0, width=0.0, voice=5.0):
    values = np.stack([np.broadcast_to(opening, frames), np.broadcast_to(width, frames)], 1).astype(np.float32)
    return LipTrack(values, np.full(frames, 0.01, np.float32), np.full(frames, voice, np.float32))


@pytest.mark.parametrize("shape", [{}, {"upper_lip_raise": 0.8, "lower_lip_drop": 0.9}, {"pucker": 0.7}])
@pytest.mark.parametrize("opening", [-1.0, 0.0, 1.0, 2.0])
def test_lips_open_as_predicted_by_every_shape(opening, shape):
    response = LipResponse(jaw_opening=0.33)
    mouth = combine(curves(40, **shape), lips(40, opening), TYPICAL, response)
    expected = max(0.0, 0.08 + OPENING_GAIN * 0.05 * opening)
    parted = mouth_opening(mouth) * response.jaw_opening
    seen = np.maximum(parted / 2.0, parted - MISSED_OPENING)
    np.testing.assert_allclose(seen[10:30], expected, atol=1e-4)
    assert mouth.min() >= 0.0
    assert mouth.max() <= 1.0


def seen_width(mouth, response):
    """The width that a tracker measures, relative to the mouth at rest."""
    return TRACKED_WIDTH_SHARE * (mouth_width(mouth, response.excess_width) - 1.0)


@pytest.mark.parametrize("response", [LipResponse(), LipResponse(0.3, 0.25)])
@pytest.mark.parametrize("width", [-1.2, 0.0, 0.6])
@pytest.mark.parametrize("opening", [-1.0, 0.0, 1.4])
def test_mouth_is_seen_as_wide_as_predicted_however_far_it_opens(opening, width, response):
    closed = {"spread": 0.2, "pucker": 0.4}
    mouth = combine(curves(60, **closed), lips(60, opening, width), TYPICAL, response)
    usual = combine(curves(60, **closed), lips(60, 0.0, 0.0), TYPICAL, response)
    change = seen_width(mouth, response)[30] - seen_width(usual, response)[30]
    predicted = WIDTH_GAIN * 0.04 / 0.57 * width
    if (opening, width, response.excess_width) == (1.4, 0.6, 0.25):  # A dropped jaw pulls the corners of a smile in.
        assert mouth[30, MOUTH_SHAPES.index("spread")] == 1.0
        assert 0.7 * predicted < change < predicted
    else:
        assert change == pytest.approx(predicted, abs=1e-4)


@pytest.mark.parametrize("opening", [-1.0, -0.9, -0.85])
def test_tucked_lip_opens_as_predicted_where_both_agree(opening):
    mouth = combine(curves(40, lip_tuck=1.0), lips(40, opening), TYPICAL)
    assert mouth[20, MOUTH_SHAPES.index("lip_tuck")] == 1.0
    expected = LipResponse().opening_for(np.full(1, 0.08 + OPENING_GAIN * 0.05 * opening, np.float32))
    np.testing.assert_allclose(mouth_opening(mouth)[20], expected[0], atol=1e-5)


def test_closure_is_complete_where_both_agree_or_one_is_certain():
    closed = np.array([0.2, 0.2, 0.9, 0.05], np.float32)
    opening = np.array([-1.0, 1.0, 1.0, -1.0], np.float32)
    np.testing.assert_allclose(confident_closures(closed, opening), [1, 0, 1, 0], atol=1e-6)
    certain = curves(30, lips_closed=np.where(np.arange(30) == 15, 0.95, 0.0))
    opened = mouth_opening(combine(certain, lips(30, 1.0), TYPICAL))
    assert opened[15] == 0.0
    assert opened[[13, 17]].min() > 0.3


def test_mouth_is_closed_and_rests_without_a_voice():
    track = lips(200, 1.0, 1.0)
    track.voice[40:] = -3.0
    mouth = combine(curves(200), track, TYPICAL)
    assert mouth_opening(mouth)[20] > 0.4
    assert mouth_opening(mouth)[55:].max() == 0.0
    assert mouth_width(mouth)[75:] == pytest.approx(1.0, abs=1e-6)
    assert voice_gate(np.full(5, -1.0, np.float32), 8).max() == 0.0


def test_mouth_is_closed_and_rests_in_pauses():
    mouth = combine(curves(200, jaw_open=np.where(np.arange(200) < 40, 0.3, 0.0)), lips(200, 1.0, 1.0), TYPICAL)
    assert mouth_opening(mouth)[20] > 0.4
    assert mouth_opening(mouth)[55:].max() == 0.0
    assert mouth_width(mouth)[75:] == pytest.approx(1.0, abs=1e-6)
    assert speech_gate(curves(5, jaw_open=0.0), 8).max() == 0.0


def test_single_frames_that_resemble_a_voice_do_not_open_the_mouth():
    logits = np.full(100, -3.0, np.float32)
    logits[[20, 50, 51]] = 4.0
    assert voice_gate(logits, 8).max() == 0.0
    logits[60:75] = 4.0
    assert voice_gate(logits, 8)[60:75].min() == pytest.approx(1.0)


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


@pytest.fixture(scope="module")
def shipped():
    return open_mouth_motion()


@pytest.fixture(scope="module")
def demo():
    """Six seconds of a recorded voice, and the mean opening in them."""
    speech = open_speech(Path(str(files("sadtalker_ext.assets") / "demo_voice.flac")))
    return np.concatenate(list(speech.blocks()))[:96_000]


@pytest.fixture(scope="module")
def spoken(shipped, demo):
    return mouth_opening(shipped.predict(speech_from_samples(demo))).mean()


def test_shipped_networks_open_the_mouth_in_speech_only(shipped, demo, spoken):
    samples = np.concatenate([demo[:64_000], np.zeros(48_000, np.float32)])
    opening = mouth_opening(shipped.predict(speech_from_samples(samples)))
    assert spoken > 0.1
    assert opening[10:95].mean() > 0.8 * spoken
    assert opening[120:].max() < 0.02 * spoken


@pytest.mark.parametrize(
    "kind",
    [
        "keyed chords", "door knocks", "typing", "plucked strings", "drums", "noise", "alarm", "sirens", "theremin",
        "whistled tunes", "brass", "barks", "long calls",
    ],
)  # fmt: skip
def test_sounds_without_a_voice_leave_the_mouth_closed(shipped, spoken, kind):
    """The first numbers of this generator; the recipe draws others."""
    sound = make_sound(kind, np.random.default_rng(4242), 48_000)
    assert mouth_opening(shipped.predict(speech_from_samples(sound))).mean() < 0.001 * spoken


@pytest.mark.parametrize("variant", ["high", "low", "whispered", "sung", "shouted"])
def test_voices_of_all_kinds_open_the_mouth(shipped, demo, spoken, variant):
    samples = VARIANTS[variant](np.random.default_rng(7), demo)
    assert mouth_opening(shipped.predict(speech_from_samples(samples))).mean() > 0.5 * spoken


def test_a_voice_over_music_opens_the_mouth_only_while_it_speaks(shipped, demo, spoken):
    pause = np.zeros(64_000, np.float32)
    voice = np.concatenate([pause, demo[:64_000], pause])
    music = make_sound("plucked strings", np.random.default_rng(3), len(voice))
    mixed = voice + music * 0.3 * np.std(demo) / np.std(music)
    opening = mouth_opening(shipped.predict(speech_from_samples(mixed.astype(np.float32))))
    assert opening[105:195].mean() > 0.5 * spoken
    assert max(opening[:75].mean(), opening[225:].mean()) < 0.02 * spoken


def test_speech_is_recognised_by_both_networks():
    assert np.all(spoken_opening(MouthPredictions(curves(60, jaw_open=0.4), lips(60))) > 0.3)
    assert np.all(spoken_opening(MouthPredictions(curves(60, jaw_open=0.0), lips(60))) == 0)
    assert np.all(spoken_opening(MouthPredictions(curves(60, jaw_open=0.4), lips(60, voice=-4.0))) == 0)
