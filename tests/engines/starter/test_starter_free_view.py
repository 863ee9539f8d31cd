"""Views of the starter engine: prepared when needed, combined with speech, and measured by the face finder."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.data import astronaut

from sadtalker_ext.engines.protocol import VideoTiming
from sadtalker_ext.engines.session import open_engine
from sadtalker_ext.engines.starter.engine import _needs_free_view
from sadtalker_ext.faces.find import find_faces
from sadtalker_ext.faces.person_mask import segment_person
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.planar_pose import rotation_between
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.puppet.basis import SHAPE_INDEX
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings


@pytest.fixture(scope="module")
def engine():
    with open_engine("starter", runtime=Runtime(device="cpu")) as opened:
        yield opened.engine


@pytest.fixture(scope="module")
def portrait():
    face = find_faces(astronaut())[0]
    return Portrait(astronaut(), face, segment_person(astronaut(), face.box))


def edited(engine, portrait, frames, **settings):
    source = engine.read_face(portrait)
    still = source.map_parts(lambda part: np.repeat(part, frames, axis=0))
    return source, engine.editor.edit(still, source, Settings(**settings), VideoTiming(frames, 25))


def test_ordinary_head_motion_prepares_no_free_view(engine, portrait):
    source, motion = edited(engine, portrait, 2, yaw="-12,12")
    list(engine.render(portrait, source, motion))
    renderer = engine._renderer(portrait)
    assert renderer._free_view is None
    source, motion = edited(engine, portrait, 2, yaw="0,25")
    first, second = engine.render(portrait, source, motion)
    assert renderer._free_view is not None
    np.testing.assert_array_equal(first, portrait.picture)
    assert (second != portrait.picture).any()


@pytest.mark.parametrize(("pose_deg", "needed"), [((8.0, 9.0, 7.0), False), ((8.0, -15.0, -14.0), True)])
def test_a_combination_of_large_rotations_needs_the_free_view(pose_deg, needed):
    # The ordinary renderer folds the far eye at the second pose, of which no rotation exceeds its own limit.
    rotation = np.deg2rad(np.array([pose_deg], np.float32))
    motion = Motion(np.zeros((1, 1), np.float32), rotation, np.zeros((1, 3), np.float32))
    assert _needs_free_view(motion) is needed


@pytest.mark.parametrize(("axis", "name", "limit"), [(1, "yaw", 30.0), (0, "pitch", 20.0)])
def test_the_face_finder_measures_the_commanded_angles(engine, portrait, axis, name, limit):
    commanded = np.linspace(-limit, limit, 5)
    source, motion = edited(engine, portrait, 5, **{name: list(commanded)})
    measured = [
        np.rad2deg(rotation_between(find_faces(frame)[0].mesh, portrait.landmarks.mesh))[axis]
        for frame in engine.render(portrait, source, motion)
    ]
    assert 0.8 < np.polyfit(commanded, measured, 1)[0] < 1.2
    assert np.corrcoef(commanded, measured)[0, 1] > 0.99
    assert (np.abs(measured - commanded) < 0.25 * limit).all()


def test_lips_and_lids_move_in_a_turned_face(engine, portrait):
    source, motion = edited(engine, portrait, 3, yaw="25", pitch="0:8")
    expression = motion.expression.copy()
    expression[1, SHAPE_INDEX["jaw_open"]] = 1.0
    expression[2, [SHAPE_INDEX["blink_left"], SHAPE_INDEX["blink_right"]]] = 1.0
    rest, spoken, closed = engine.render(portrait, source, motion.replace(expression=expression))
    at_rest, open_mouth = (find_faces(frame)[0].mesh for frame in (rest, spoken))
    height = np.ptp(portrait.landmarks.mesh[:468, 1])
    assert (open_mouth[14] - open_mouth[13])[1] > (at_rest[14] - at_rest[13])[1] + 0.08 * height
    for eye in (159, 386):
        x, y = at_rest[eye, :2].astype(int)
        near = (slice(y - 6, y + 10), slice(x - 8, x + 9))
        assert np.abs(closed[near].astype(int) - rest[near]).mean() > 8


def test_the_range_is_declared(engine):
    from sadtalker_ext.puppet.solid_head import FREE_VIEW_LIMITS_RAD

    np.testing.assert_allclose(np.deg2rad(engine.spec.view_limits_deg), FREE_VIEW_LIMITS_RAD)


def test_sections_of_one_video_are_rendered_as_the_whole(engine, portrait):
    """A section that hardly turns looks as it does in a video that turns further later."""
    source, whole = edited(engine, portrait, 4, yaw="0,8,16,24")
    parts = iter([whole[:2], whole[2:]])
    frames = list(engine.render_sections(portrait, source, parts, turns_far=True))
    np.testing.assert_array_equal(frames, list(engine.render(portrait, source, whole)))
