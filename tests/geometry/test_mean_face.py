"""The mean face: symmetry, placement in a box, deformation to 68 points."""

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator

from sadtalker_ext.geometry import mean_face
from sadtalker_ext.geometry.landmarks import FACE_OVAL, FaceBox, oval_box, subset_68
from sadtalker_ext.geometry.mean_face import lift_68, mean_face_mesh, mirror_points, place_in_box
from sadtalker_ext.geometry.rotation import euler_to_matrix


def test_mean_face_is_symmetric_and_mirroring_twice_is_the_identity():
    mesh = mean_face_mesh()
    np.testing.assert_allclose(mirror_points(mesh) * [-1, 1, 1], mesh, atol=1e-6)
    points = np.arange(478, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(mirror_points(mirror_points(points)), points)


def test_mirror_map_swaps_known_pairs():
    order = mirror_points(np.arange(478, dtype=np.float32)[:, None])[:, 0]
    pairs = {33: 263, 133: 362, 61: 291, 159: 386, 468: 473, 234: 454, 1: 1, 152: 152}
    assert {first: int(order[first]) for first in pairs} == pairs


def test_mean_face_is_one_unit_high_with_the_nose_nearest():
    mesh = mean_face_mesh()
    assert oval_box(mesh).height == pytest.approx(1.0, abs=1e-5)
    assert np.argmin(mesh[:468, 2]) in (1, 4, 44, 274)
    assert mesh[list(FACE_OVAL), 2].mean() > mesh[:468, 2].mean()


def test_placed_face_fills_its_box():
    box = FaceBox(40.0, 70.0, 130.0, 180.0)
    placed = oval_box(place_in_box(box))
    np.testing.assert_allclose(placed, box, atol=2.0)


@pytest.mark.parametrize("pose_deg", [(0, 0, 0), (8, 20, -12), (-10, -25, 15)])
def test_lift_recovers_a_rotated_face_from_its_68_points(pose_deg):
    mesh = mean_face_mesh() @ euler_to_matrix(np.deg2rad(pose_deg)).T * 240.0 + [300.0, 280.0, 0.0]
    lifted = lift_68(subset_68(mesh.astype(np.float32)))
    assert np.abs(lifted[:, :2] - mesh[:, :2]).max() < 1.0
    assert np.abs(lifted[:, 2] - mesh[:, 2]).max() < 12.0


def test_lift_follows_a_face_that_differs_from_the_mean():
    mesh = mean_face_mesh() * [260.0, 220.0, 240.0] + [300.0, 280.0, 0.0]
    lower = np.isin(np.arange(478), [14, 87, 317, 178, 402, 17, 84, 314, 181, 405, 88, 318])
    mesh[lower, 1] += 25.0
    lifted = lift_68(subset_68(mesh.astype(np.float32)))
    np.testing.assert_allclose(subset_68(lifted), subset_68(mesh), atol=2.5)
    assert lifted[14, 1] - lifted[13, 1] > 20.0


def test_spline_matches_scipy():
    """SciPy's kernel is half of ours, and so is its smoothing."""
    rng = np.random.default_rng(0)
    anchors, shifts, points = rng.uniform(-1, 1, (68, 2)), rng.normal(0, 0.05, (68, 2)), rng.uniform(-1, 1, (300, 2))
    oracle = RBFInterpolator(anchors, shifts, smoothing=mean_face._STIFFNESS / 2, kernel="thin_plate_spline")
    np.testing.assert_allclose(mean_face._spline_shifts(anchors, shifts, points), oracle(points), atol=1e-7)
