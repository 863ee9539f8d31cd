"""Motion settings against the arithmetic of NumPy and SciPy."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from sadtalker_ext.engines.motion_editing import (
    StandardMotionEditor,
    interpolate,
    motion_style,
    named_view,
    video_timing,
)
from sadtalker_ext.engines.protocol import EngineSpec, MotionStyle, VideoTiming
from sadtalker_ext.engines.registry import check_settings
from sadtalker_ext.engines.sadtalker.parity import OfficialMotionEditor, view_of
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.settings import Settings

SPEC = EngineSpec(name="fake", label="Fake", frame_size_px=None, pose_styles=("calm", "lively"))
COLUMNS = (0, 2)
STANDARD, OFFICIAL = StandardMotionEditor(COLUMNS), OfficialMotionEditor(COLUMNS)


@pytest.fixture
def source():
    return Motion(np.full((1, 3), 0.5, np.float32), np.full((1, 3), 0.1, np.float32), np.zeros((1, 3), np.float32))


@pytest.fixture
def motion():
    draw = np.random.default_rng(1)
    return Motion(*(draw.normal(size=(40, 3)).astype(np.float32) for _ in range(3)))


def edited(motion, source, **values):
    settings = Settings(**values)
    return STANDARD.edit(motion, source, settings, VideoTiming(len(motion), 25))


def test_defaults_change_nothing_at_all(motion, source):
    same = edited(motion, source)
    for part in ("expression", "rotation", "translation"):
        np.testing.assert_allclose(getattr(same, part), getattr(motion, part), atol=1e-6)
        assert getattr(same, part).dtype == np.float32


def test_expression_scale_is_about_the_source_and_leaves_blinks(motion, source):
    half = edited(motion, source, expression_scale=0.5)
    np.testing.assert_allclose(half.expression[:, [0, 2]], 0.5 + 0.5 * (motion.expression[:, [0, 2]] - 0.5), atol=1e-6)
    np.testing.assert_array_equal(half.expression[:, 1], motion.expression[:, 1])
    still_face = edited(motion, source, expression_scale=0.0)
    np.testing.assert_array_equal(still_face.expression[:, [0, 2]], 0.5)


def test_parity_scales_the_expression_about_zero(motion, source):
    """exp *= expression_scale, the official way."""
    official = OFFICIAL.edit(motion, source, Settings(expression_scale=0.5), VideoTiming(40, 25))
    np.testing.assert_allclose(official.expression[:, [0, 2]], 0.5 * motion.expression[:, [0, 2]], atol=1e-6)


def test_head_motion_scale_is_about_the_source_pose(motion, source):
    twice = edited(motion, source, head_motion_scale=2.0)
    np.testing.assert_allclose(twice.rotation, 0.1 + 2 * (motion.rotation - 0.1), atol=1e-5)
    np.testing.assert_allclose(twice.translation, 2 * motion.translation, atol=1e-6)


def test_still_keeps_the_head_and_lets_the_face_move(motion, source):
    held = edited(motion, source, still=True, head_motion_scale=3.0)
    np.testing.assert_array_equal(held.rotation, np.broadcast_to(source.rotation, (40, 3)))
    np.testing.assert_array_equal(held.translation, np.broadcast_to(source.translation, (40, 3)))
    np.testing.assert_allclose(held.expression, motion.expression, atol=1e-6)


def test_free_view_passes_its_keyframes_evenly_and_leaves_other_axes(motion, source):
    turned = edited(motion[:9], source, yaw="-10,10,4", still=True)
    yaw_deg = np.rad2deg(turned.rotation[:, 1])
    np.testing.assert_allclose(yaw_deg[[0, 4, 8]], [-10, 10, 4], atol=1e-4)
    assert np.all(np.diff(yaw_deg[:5]) > 0)
    assert np.all(np.diff(yaw_deg[4:]) < 0)
    np.testing.assert_array_equal(turned.rotation[:, [0, 2]], np.float32(0.1))


def test_free_view_between_two_keyframes_is_linear_as_in_the_official_code(motion, source):
    turned = edited(motion, source, pitch="-6,12")
    np.testing.assert_allclose(np.rad2deg(turned.rotation[:, 0]), np.linspace(-6, 12, 40), atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 3, 20])
@pytest.mark.parametrize("keyframes", ["7", "7,7", "7,7,7,7"])
def test_free_view_holds_equal_keyframes_for_any_length(motion, source, frames, keyframes):
    turned = edited(motion[:frames], source, roll=keyframes)
    np.testing.assert_allclose(np.rad2deg(turned.rotation[:, 2]), 7.0, atol=1e-5)


def test_a_single_frame_uses_the_first_keyframe(motion, source):
    assert np.rad2deg(edited(motion[:1], source, yaw="3,9").rotation[0, 1]) == pytest.approx(3, abs=1e-5)


def test_parity_turns_the_view_instead_of_the_head():
    """As in the official code: 1 degree per frame from 0 to 2 and back; the last keyframe is never reached."""
    still = np.zeros((5, 3), np.float32)
    motion, source = Motion(still, still, still), Motion(still[:1], still[:1], still[:1])
    turned = OFFICIAL.edit(motion, source, Settings(yaw="0,2,0", roll="5"), VideoTiming(5, 25))
    assert np.array_equal(turned.rotation, still)
    np.testing.assert_array_equal(view_of(turned)[:, 1], [0, 1, 2, 1, 1])
    np.testing.assert_array_equal(view_of(turned)[:, 2], 5)
    assert np.isnan(view_of(turned)[:, 0]).all()
    assert view_of(OFFICIAL.edit(motion, source, Settings(), VideoTiming(5, 25))) is None
    assert view_of(STANDARD.edit(motion, source, Settings(yaw="3"), VideoTiming(5, 25))) is None


def test_timed_keyframes_are_added_to_the_motion_of_the_head(motion, source):
    moved = edited(motion, source, yaw="0:0,0.8:20,1.6:-10", pitch="0.4:6")
    added = np.rad2deg(moved.rotation - motion.rotation)
    np.testing.assert_allclose(added[[0, 20], 1], [0, 20], atol=1e-3)
    assert added[:, 1].max() == pytest.approx(20, abs=1e-3)
    np.testing.assert_allclose(added[:, 0], 6, atol=1e-3)
    np.testing.assert_allclose(added[:, 2], 0, atol=1e-3)
    exact = edited(motion, source, yaw="0:0,0.8:20,1.6:-10", still=True)
    np.testing.assert_allclose(np.rad2deg(exact.rotation[20, 1] - 0.1), 20, atol=1e-3)


def test_timed_keyframes_keep_their_times_at_any_frame_rate(motion, source):
    for rate in (10, 25, 60):
        timing = VideoTiming(round(1.6 * rate), rate)
        turned = STANDARD.edit(motion, source, Settings(yaw="0:0,0.8:20,1.6:0", still=True), timing)
        assert np.argmax(turned.rotation[:, 1]) == round(0.8 * rate)


def test_a_named_view_is_added_to_the_motion_and_to_keyframes(motion, source):
    timing = VideoTiming(40, 25)
    path = named_view(Settings(view="orbit"), timing)
    added = np.rad2deg(edited(motion, source, view="orbit").rotation - motion.rotation)
    np.testing.assert_allclose(added, path.rotation_deg, atol=1e-3)
    both = np.rad2deg(edited(motion, source, view="orbit", roll="0:4").rotation - motion.rotation)
    np.testing.assert_allclose(both - added, np.broadcast_to([0, 0, 4], (40, 3)), atol=1e-3)
    assert named_view(Settings(), timing) is None
    np.testing.assert_array_equal(edited(motion, source, view="dolly").rotation, edited(motion, source).rotation)


def test_parity_shows_timed_keyframes_and_named_views_as_views():
    still = np.zeros((50, 3), np.float32)
    motion, source = Motion(still, still, still), Motion(still[:1], still[:1], still[:1])
    timing = VideoTiming(50, 25)
    turned = OFFICIAL.edit(motion, source, Settings(yaw="0:0,1:20", view="nod", roll="3"), timing)
    assert np.array_equal(turned.rotation, still)
    view = view_of(turned)
    assert view[25, 1] == view[40, 1] == 20
    np.testing.assert_allclose(view[:, 0], named_view(Settings(view="nod"), timing).rotation_deg[:, 0], atol=1e-5)
    np.testing.assert_array_equal(view[:, 2], 3)
    assert view_of(OFFICIAL.edit(motion, source, Settings(view="dolly"), timing)) is None


def test_interpolation_agrees_with_scipy_inside():
    draw = np.random.default_rng(3)
    values = draw.normal(size=(12, 4)).astype(np.float32)
    at = np.linspace(1, 10, 200)
    expected = PchipInterpolator(np.arange(12), values)(at)
    np.testing.assert_allclose(interpolate(values, at), expected, atol=1e-5)


def test_interpolation_never_overshoots_and_holds_the_ends():
    lid = np.zeros((9, 1), np.float32)
    lid[4:6] = 1
    between = interpolate(lid, np.linspace(-2, 11, 400))
    assert between.min() == 0
    assert between.max() == 1
    assert between[0] == between[-1] == 0
    np.testing.assert_array_equal(interpolate(lid[:1], np.array([-1.0, 0.0, 5.0])), 0)


@pytest.mark.parametrize("rate", [10, 24, 30, 50, 60])
def test_resampling_keeps_time(rate):
    """A movement that is a known function of time is the same function at another frame rate."""
    centre_s = (np.arange(50) + 0.5) / 25
    swing = np.repeat(np.sin(2 * np.pi * 0.5 * centre_s)[:, None], 3, axis=1).astype(np.float32)
    source = Motion(*(np.zeros((1, 3), np.float32) for _ in range(3)))
    timing = VideoTiming(2 * rate, rate)
    resampled = STANDARD.edit(Motion(swing, swing, swing), source, Settings(), timing)
    assert len(resampled) == 2 * rate
    expected = np.sin(2 * np.pi * 0.5 * (np.arange(2 * rate) + 0.5) / rate)
    inside = slice(rate // 10 + 1, -rate // 10 - 1)
    np.testing.assert_allclose(resampled.rotation[inside, 0], expected[inside], atol=0.01)


@pytest.mark.parametrize(
    ("duration_s", "rate", "frames"),
    [(0.2, 25, 5), (1.0, 25, 25), (1.001, 25, 26), (10.0, 30, 300), (0.01, 10, 1), (3600.0, 60, 216000), (0.28, 25, 7)],
)
def test_video_is_as_long_as_the_voice_within_one_frame(duration_s, rate, frames):
    timing = video_timing(duration_s, Settings(frame_rate=rate))
    assert timing == VideoTiming(frames, rate)
    assert 0 <= timing.frames / timing.rate_hz - duration_s + 1e-6 < 1 / rate + 1e-6


def test_a_setting_that_the_engine_does_not_support_is_refused_by_name():
    check_settings(Settings(still=True, yaw="3", face="1", frame_rate=30, quality="best", resolution_limit=512))
    check_settings(Settings(engine="sadtalker", mode="crop", parity=True))
    with pytest.raises(SettingsError, match="engine starter does not support the setting mode, parity"):
        check_settings(Settings(mode="crop", parity=True, still=True))


@pytest.mark.parametrize("style", ["lively", "1", "0"])
def test_pose_style_by_name_or_number(style):
    assert motion_style(SPEC, Settings(pose_style=style, blink=0.5, seed=9)) == MotionStyle(style, 0.5, 9)


@pytest.mark.parametrize("style", ["2", "sad", "-1", ""])
def test_unknown_pose_style_lists_the_existing_ones(style):
    with pytest.raises(SettingsError, match="0 calm, 1 lively"):
        motion_style(SPEC, Settings(pose_style=style))


PARTS = ((0, 60, 90), (60, 40, 110), (100, 25, 125))
"""First frame, frames and expected frames of the video when each of three parts is turned."""


@pytest.mark.parametrize("editor", [STANDARD, OFFICIAL])
def test_parts_of_a_video_of_unknown_length_reach_every_keyframe(editor):
    """The angles go on from part to part, and end with the last keyframe in the last frame."""
    settings, expected, turned = Settings(yaw="-10,20,0", view="sway"), (), []
    for first, frames, total in PARTS:
        expected = (*expected, (first, total))
        still = np.zeros((frames, 3), np.float32)
        part = editor.turn(Motion(still, still, still), settings, VideoTiming(frames, 25, first, expected))
        yaw_deg = np.rad2deg(part.rotation[:, 1]) if editor is STANDARD else view_of(part)[:, 1]
        view = named_view(settings, VideoTiming(frames, 25, first, expected))
        turned.append(yaw_deg - view.rotation_deg[:, 1])
    angles = np.concatenate(turned)
    assert angles[[0, -1]] == pytest.approx([-10.0, 0.0], abs=1e-3)
    assert angles.max() == pytest.approx(20.0, abs=0.5)
    assert np.abs(np.diff(angles)).max() < 1.2
    assert np.argmax(angles) == pytest.approx(45 if editor is STANDARD else 0.6 * 89, abs=1.0), (
        "as long as 90 are expected"
    )
