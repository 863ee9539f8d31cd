"""Head pose, mouth and eye measurements on a mean face that is moved by known amounts."""

import numpy as np
import pytest

from sadtalker_ext.geometry.landmarks import Landmarks
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.geometry.measures import eye_opening, head_pose, mouth_opening, mouth_width
from sadtalker_ext.geometry.rotation import euler_to_matrix

LOWER_LIP = [14, 87, 317, 178, 402, 17, 84, 314]
POSES_DEG = [(0, 0, 0), (12, 0, 0), (-12, 5, 3), (0, -15, 0), (4, 15, -15), (-8, -10, 15)]


def face(mesh=None, pose_deg=(0, 0, 0), size=300.0, place=(400.0, 300.0, 0.0)):
    mesh = mean_face_mesh() if mesh is None else mesh
    rotated = mesh @ euler_to_matrix(np.deg2rad(pose_deg)).T
    return Landmarks.from_mesh((rotated * size + place).astype(np.float32), "face-mesh")


@pytest.mark.parametrize("pose_deg", POSES_DEG)
def test_head_pose_recovers_the_applied_pose_for_any_mouth_and_size(pose_deg):
    speaking = mean_face_mesh()
    speaking[LOWER_LIP, 1] += 0.15
    speaking[[152, 148, 377, 176, 400], 1] += 0.12
    measured = np.rad2deg(head_pose(face(speaking, pose_deg, size=210.0, place=(50, 80, 3)), face()))
    np.testing.assert_allclose(measured, pose_deg, atol=0.05)


@pytest.mark.parametrize("pose_deg", POSES_DEG)
def test_mouth_opening_is_measured_in_eye_distances_in_any_pose(pose_deg):
    mesh = mean_face_mesh()
    distance = np.linalg.norm(mesh[33] - mesh[263])
    rest = mouth_opening(face())
    assert abs(rest) < 0.04
    mesh[LOWER_LIP, 1] += 0.2 * distance
    assert mouth_opening(face(mesh, pose_deg, size=90.0)) - rest == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("pose_deg", POSES_DEG)
def test_mouth_width_does_not_depend_on_pose(pose_deg):
    assert mouth_width(face(pose_deg=pose_deg)) == pytest.approx(mouth_width(face()), abs=1e-3)


def test_mouth_width_grows_with_the_corners():
    mesh = mean_face_mesh()
    mesh[61, 0] -= 0.02
    mesh[291, 0] += 0.02
    assert mouth_width(face(mesh)) > mouth_width(face()) + 0.05


@pytest.mark.parametrize(
    ("side", "other", "upper"), [("right", "left", [159, 158, 160]), ("left", "right", [386, 385, 387])]
)
def test_eye_opening_measures_the_given_side(side, other, upper):
    mesh = mean_face_mesh()
    lower = {159: 145, 158: 153, 160: 144, 386: 374, 385: 380, 387: 373}
    before = eye_opening(face(), other)
    for point in upper:
        mesh[point] = mesh[lower[point]]
    assert eye_opening(face(mesh), side) < 1e-3
    assert eye_opening(face(mesh), other) == pytest.approx(before)
    assert 0.2 < before < 0.45
    # the subject's right eye is on the left of the picture
    assert (face().mesh[upper[0], 0] < 400.0) == (side == "right")
