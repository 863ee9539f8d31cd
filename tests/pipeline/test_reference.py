"""Motion of a reference video: eyes, pose, or all face motion."""

from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.engines.protocol import MotionStyle
from sadtalker_ext.engines.reference_motion import CopiedReference
from sadtalker_ext.engines.sadtalker.coefficients import from_motion, to_motion
from sadtalker_ext.engines.sadtalker.parity import OfficialMotionEditor
from sadtalker_ext.errors import FaceError
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.rotation import euler_to_matrix
from sadtalker_ext.pipeline.reference import read_motion, track_reference

CLIP = Path("clip.mp4")
FRAME = np.zeros((400, 400, 3), np.uint8)
UPPER_LIDS, LOWER_LIDS = (160, 158, 159, 385, 387, 386), (144, 153, 145, 380, 373, 374)


def face(yaw=0.0, closed=0.0, x=0.0):
    mesh = place_in_box(FaceBox(120, 100, 160, 200)).astype(np.float64)
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        mesh[upper, :2] += closed * 0.9 * (mesh[lower, :2] - mesh[upper, :2])
    centre = mesh.mean(axis=0)
    turned = (mesh - centre) @ euler_to_matrix(np.array([0.0, yaw, 0.0])).T + centre
    return Landmarks.from_mesh((turned + np.array([x, 0.0, 0.0])).astype(np.float32), "box")


def detected(faces):
    return [(FRAME, one) for one in faces]


def motion(frames, value=0.5):
    return Motion(*(np.full((frames, width), value, np.float32) for width in (64, 3, 3)))


def test_lids_are_measured_against_the_open_eye_of_the_same_face():
    reference = track_reference(detected([face(closed=c) for c in (0, 0, 0, 1, 0, 0)]), "eyes", CLIP)
    assert reference.lids[3] > 0.9
    assert np.delete(reference.lids, 3).max() < 0.1


def test_use_eyes_changes_the_style_and_not_the_motion():
    reference = track_reference(detected([face(), face(yaw=0.3)]), "eyes", CLIP)
    assert reference.apply(motion(5), motion(1)) is not None
    assert np.array_equal(reference.apply(motion(5), motion(1)).rotation, motion(5).rotation)
    assert np.array_equal(reference.style(MotionStyle()).lids, reference.lids)


def test_use_pose_replaces_the_head_motion_and_repeats():
    reference = track_reference(detected([face(), face(yaw=0.2), face(yaw=0.2, x=20)]), "pose", CLIP)
    moved = reference.apply(motion(7), motion(1, 0.1))
    assert moved.rotation[0] == pytest.approx([0.1, 0.1, 0.1], abs=1e-3)
    assert moved.rotation[1, 1] == pytest.approx(0.3, abs=0.03)
    assert moved.translation[2, 0] == pytest.approx(0.1 + 20 / face().box.height, abs=0.03)
    assert np.array_equal(moved.rotation[3:6], moved.rotation[:3])
    assert np.array_equal(moved.expression, motion(7).expression)
    assert reference.style(MotionStyle()).lids is None


def test_use_all_copies_what_the_engine_reads():
    class Reader:
        def __init__(self):
            self.count = 0

        def read_face(self, _):
            self.count += 1
            return motion(1, self.count)

    reference = CopiedReference(read_motion(detected([face(), None, face()]), CLIP, Reader()))
    assert reference.apply(motion(4), motion(1)).expression[:, 0].tolist() == [1, 1, 2, 1]


def test_frames_before_the_first_face_repeat_its_values():
    reference = track_reference(detected([None, face(yaw=0.1), face(yaw=0.3), face(yaw=0.3)]), "eyes+pose", CLIP)
    assert len(reference.lids) == 4
    assert reference.rotation[0, 1] == pytest.approx(reference.rotation[1, 1])


def test_too_few_detected_faces_are_refused():
    with pytest.raises(FaceError, match="only 1 of 3 frames of the reference clip"):
        track_reference(detected([None, face(), None]), "pose", CLIP)


def official(use, coefficients):
    """Return the reference with parity, for an engine that reads these coefficients (N, 70)."""

    class Reader:
        def __init__(self):
            self.coefficients = iter(coefficients)

        def read_face(self, _):
            return to_motion(next(self.coefficients)[None])

    return OfficialMotionEditor(()).reference(use, read_motion(detected([face()] * len(coefficients)), CLIP, Reader()))


@pytest.fixture
def coefficients():
    draw = np.random.default_rng(2)
    return draw.normal(size=(7, 70)).astype(np.float32), draw.normal(size=(3, 70)).astype(np.float32)


def test_official_pose_is_added_to_the_predicted_one(coefficients):
    """pose += refpose - refpose[0], the reference repeated."""
    predicted, observed = coefficients
    reference = official("pose", observed)
    result = from_motion(reference.apply(to_motion(predicted), to_motion(predicted[:1])))
    looped = np.concatenate([observed, observed, observed[:1]])
    np.testing.assert_allclose(result[:, 64:], predicted[:, 64:] + looped[:, 64:] - observed[0, 64:], atol=1e-5)
    np.testing.assert_allclose(result[:, :64], predicted[:, :64], atol=1e-6)
    assert reference.style(MotionStyle()) == MotionStyle()
    assert reference.style(MotionStyle()).expression is None


def test_official_eyes_copy_the_whole_expression_and_disable_blinks(coefficients):
    predicted, observed = coefficients
    reference = official("eyes", observed)
    style = reference.style(MotionStyle(seed=4))
    np.testing.assert_array_equal(style.expression, observed[:, :64])
    assert not style.lids.any()
    assert style.seed == 4
    motion = to_motion(predicted)
    assert reference.apply(motion, motion[:1]) is motion


def test_use_all_is_the_same_with_parity(coefficients):
    predicted, observed = coefficients
    result = official("all", observed).apply(to_motion(predicted), to_motion(predicted[:1]))
    np.testing.assert_allclose(from_motion(result), observed[[0, 1, 2, 0, 1, 2, 0]], atol=1e-6)
