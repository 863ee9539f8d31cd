"""The starter engine as a whole: motion that fits the speech, frames that fit the motion, one seed one result."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from sadtalker_ext.audio.speech import open_speech, silence
from sadtalker_ext.engines.protocol import Engine, MotionStyle
from sadtalker_ext.engines.session import open_engine
from sadtalker_ext.engines.starter.engine import PIXEL_CENTRE, speaking_envelope
from sadtalker_ext.engines.starter.eyes_and_brows import eye_contact
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.faces.find import find_faces
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.puppet.basis import MOUTH_SHAPES, SHAPE_INDEX
from sadtalker_ext.runtime import Runtime


@pytest.fixture(scope="module")
def engine():
    with open_engine("starter", runtime=Runtime(device="cpu")) as opened:
        yield opened.engine


@pytest.fixture(scope="module")
def portrait():
    return Portrait(astronaut(), find_faces(astronaut())[0])


@pytest.fixture(scope="module")
def speech():
    return open_speech(Path(str(files("sadtalker_ext.assets") / "demo_voice.flac")))


@pytest.fixture(scope="module")
def motion(engine, portrait, speech):
    return engine.predict_motion(speech, engine.read_face(portrait), MotionStyle(seed=3))


def test_speech_that_was_read_before_gives_the_same_motion(engine, portrait, speech, motion, monkeypatch):
    engine.read_speech(speech)
    monkeypatch.setattr(engine, "_analyse", lambda _: pytest.fail("the speech was read again"))
    again = engine.predict_motion(speech.with_check(lambda: None), engine.read_face(portrait), MotionStyle(seed=3))
    for part in ("expression", "rotation", "translation"):
        np.testing.assert_array_equal(getattr(again, part), getattr(motion, part))


def column(motion, name):
    return motion.expression[:, SHAPE_INDEX[name]]


def test_starter_engine_follows_the_protocol(engine):
    assert isinstance(engine, Engine)
    assert len(engine.spec.pose_styles) >= 8


def test_one_row_of_motion_for_each_frame_of_speech(engine, portrait, speech, motion):
    assert len(motion) == speech.frames
    assert np.isfinite(motion.expression).all()
    assert column(motion, "jaw_open").max() > 0.15
    assert np.abs(motion.rotation).max() < 0.2


def test_the_same_seed_gives_the_same_motion_and_another_seed_another(engine, portrait, speech, motion):
    source = engine.read_face(portrait)
    again = engine.predict_motion(speech, source, MotionStyle(seed=3))
    np.testing.assert_array_equal(again.expression, motion.expression)
    np.testing.assert_array_equal(again.rotation, motion.rotation)
    other = engine.predict_motion(speech, source, MotionStyle(seed=4))
    assert np.abs(other.rotation - motion.rotation).max() > 0.01
    np.testing.assert_array_equal(column(other, "jaw_open"), column(motion, "jaw_open"))


def test_styles_differ_and_unknown_ones_are_refused(engine, portrait, speech, motion):
    source = engine.read_face(portrait)
    other = engine.predict_motion(speech, source, MotionStyle(pose_style=engine.spec.pose_styles[2], seed=3))
    assert np.abs(other.rotation - motion.rotation).max() > 0.01
    with pytest.raises(SettingsError, match="pose style"):
        engine.predict_motion(speech, source, MotionStyle(pose_style="moonwalk"))


def test_blink_strength_zero_disables_blinks(engine, portrait, speech):
    calm = engine.predict_motion(speech, engine.read_face(portrait), MotionStyle(blink=0.0))
    assert column(calm, "blink_left").max() == 0.0
    assert column(calm, "blink_right").max() == 0.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_idle_portrait_blinks_and_moves(engine, portrait, seed):
    idle = engine.predict_motion(silence(20.0), engine.read_face(portrait), MotionStyle(seed=seed))
    closings = np.count_nonzero(np.diff((column(idle, "blink_left") > 0.4).astype(int)) > 0)
    assert 3 <= closings <= 14
    assert 0.5 < np.rad2deg(np.ptp(idle.rotation, axis=0)).max() < 8
    assert np.abs(np.diff(np.rad2deg(idle.rotation), axis=0)).max() < 1


def test_mouth_rests_in_silence(engine, portrait, motion):
    quiet = engine.predict_motion(silence(4.0), engine.read_face(portrait), MotionStyle())
    assert len(quiet) == 100
    assert column(quiet, "jaw_open").mean() < 0.1 * column(motion, "jaw_open").mean()
    assert column(quiet, "mouth_neutral").max() == 0.0


def test_frames_are_in_order_and_equal_the_renderers(engine, portrait, motion):
    part = motion[20:27]
    frames = list(engine.render(portrait, engine.read_face(portrait), part))
    assert len(frames) == 7
    renderer = engine._renderer(portrait)
    gaze = [SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"]]
    expression = part.expression[5].copy()
    expression[gaze] += eye_contact(part.rotation[5:6])[0].astype(np.float32)
    np.testing.assert_array_equal(frames[5], renderer.render_frame(expression, part.rotation[5], part.translation[5]))
    assert PIXEL_CENTRE[:2] == (0.5, 0.5)


def test_closing_the_iterator_ends_the_threads(engine, portrait, motion):
    frames = engine.render(portrait, engine.read_face(portrait), motion)
    next(frames)
    frames.close()
    assert len(list(engine.render(portrait, engine.read_face(portrait), motion[:2]))) == 2


@pytest.mark.parametrize("start", [0, 3, 20, 60])
@pytest.mark.parametrize("shape", ["jaw_open", "lips_closed"])
def test_an_open_mouth_closes_just_before_it_moves(start, shape):
    mouth = np.zeros((200, len(MOUTH_SHAPES)), np.float32)
    mouth[start : start + 30, MOUTH_SHAPES.index(shape)] = 0.3
    envelope = speaking_envelope(mouth)
    if start == 20:  # within the first second: closed before it is seen for long
        assert envelope[7:].min() == pytest.approx(1.0)
    else:
        assert envelope[: max(start - 7, 0)].max(initial=0.0) == 0.0
    assert envelope[start:].min() == pytest.approx(1.0)
    assert np.abs(np.diff(envelope)).max() < 0.3
    assert speaking_envelope(np.zeros_like(mouth)).max() == 0.0


def test_eyes_stay_on_the_viewer_only_as_far_as_the_head_turns(engine, portrait):
    """The eyes counter a turn when it is rendered, so a head that is held still keeps its eyes still."""
    source = engine.read_face(portrait)
    turned = Motion(source.expression, np.float32([[0.0, 0.15, 0.0]]), source.translation)
    frame = next(iter(engine.render(portrait, source, turned)))
    renderer = engine._renderer(portrait)
    fixed = renderer.render_frame(turned.expression[0], turned.rotation[0], turned.translation[0])
    assert (frame != fixed).any()
    np.testing.assert_array_equal(next(iter(engine.render(portrait, source, source))), portrait.picture)


def test_unknown_engines_are_refused():
    with pytest.raises(SettingsError, match="no engine 'wav2lip'; choose starter or sadtalker"):
        open_engine("wav2lip")
