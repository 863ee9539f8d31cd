"""Taking after a video: eyes, pose, everything."""

import numpy as np
import pytest

from sadtalker_ext.engines.engine import MotionStyle
from sadtalker_ext.errors import FaceError, SettingsError
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.rotation import euler_to_matrix
from sadtalker_ext.geometry.template import place_in_box
from sadtalker_ext.pipeline.reference import follow, read_reference

FRAME = np.zeros((400, 400, 3), np.uint8)
UPPER_LIDS, LOWER_LIDS = (160, 158, 159, 385, 387, 386), (144, 153, 145, 380, 373, 374)


def face(yaw=0.0, closed=0.0, x=0.0):
    mesh = place_in_box(FaceBox(120, 100, 160, 200)).astype(np.float64)
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        mesh[upper, :2] += closed * 0.9 * (mesh[lower, :2] - mesh[upper, :2])
    centre = mesh.mean(axis=0)
    turned = (mesh - centre) @ euler_to_matrix(np.array([0.0, yaw, 0.0])).T + centre
    return Landmarks.from_mesh((turned + np.array([x, 0.0, 0.0])).astype(np.float32), "box")


def seen(faces):
    return [(FRAME, one) for one in faces]


def motion(frames, value=0.5):
    return Motion(*(np.full((frames, width), value, np.float32) for width in (64, 3, 3)))


def test_lids_are_read_against_the_faces_own_open_eye():
    reference = follow(seen([face(closed=c) for c in (0, 0, 0, 1, 0, 0)]), "eyes", "clip", None)
    assert reference.lids[3] > 0.9
    assert np.delete(reference.lids, 3).max() < 0.1


def test_eyes_alone_leave_the_motion_and_come_with_the_style():
    reference = follow(seen([face(), face(yaw=0.3)]), "eyes", "clip", None)
    assert reference.apply(motion(5), motion(1)) is not None
    assert np.array_equal(reference.apply(motion(5), motion(1)).rotation, motion(5).rotation)
    assert np.array_equal(reference.style(MotionStyle()).lids, reference.lids)


def test_pose_replaces_the_head_from_where_the_portrait_is_and_repeats():
    reference = follow(seen([face(), face(yaw=0.2), face(yaw=0.2, x=20)]), "pose", "clip", None)
    moved = reference.apply(motion(7), motion(1, 0.1))
    assert moved.rotation[0] == pytest.approx([0.1, 0.1, 0.1], abs=1e-3)
    assert moved.rotation[1, 1] == pytest.approx(0.3, abs=0.03)
    assert moved.translation[2, 0] == pytest.approx(0.1 + 20 / face().box.height, abs=0.03)
    assert np.array_equal(moved.rotation[3:6], moved.rotation[:3])
    assert np.array_equal(moved.expression, motion(7).expression)
    assert reference.style(MotionStyle()).lids is None


def test_everything_is_what_the_engine_reads():
    class Reader:
        def __init__(self):
            self.count = 0

        def read_face(self, _):
            self.count += 1
            return motion(1, self.count)

    reference = follow(seen([face(), None, face()]), "all", "clip", Reader())
    assert reference.apply(motion(4), motion(1)).expression[:, 0].tolist() == [1, 1, 2, 1]


def test_frames_before_the_first_face_are_bridged():
    reference = follow(seen([None, face(yaw=0.1), face(yaw=0.3), face(yaw=0.3)]), "eyes and pose", "clip", None)
    assert len(reference.lids) == 4
    assert reference.rotation[0, 1] == pytest.approx(reference.rotation[1, 1])


def test_too_few_faces_and_unknown_uses_are_refused(tmp_path):
    with pytest.raises(FaceError, match="1 of 3 frames of clip"):
        follow(seen([None, face(), None]), "pose", "clip", None)
    with pytest.raises(SettingsError, match="eyes and pose"):
        read_reference(tmp_path / "x.mp4", "lips")
