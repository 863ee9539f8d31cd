"""Ears of portraits: less steep than the side of the head, and the surface elsewhere as before."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.puppet.ear_slope import limit_ear_slope
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.head import rotation_matrix
from sadtalker_ext.puppet.warp import Box, Grid

SIDE_PX = 400
FACE_PX = 200.0
GRID = Grid.cover(Box(0, 0, SIDE_PX - 1, SIDE_PX - 1), 130)
STEEP = 1.35
TEMPLES = (127, 356)


def limited(yaw_deg: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a mesh turned by an angle, and a surface that is steep on both sides before and after the limit."""
    matrix = rotation_matrix(np.deg2rad([0.0, yaw_deg, 0.0]))
    mesh = FACE_PX * mean_face_mesh().astype(float) @ matrix.T + [SIDE_PX / 2, SIDE_PX / 2, 0.0]
    middle = mesh[list(TEMPLES), 0].mean()
    depth = (STEEP * np.abs(GRID.nodes()[..., 0] - middle)).astype(np.float32)
    return mesh, depth, limit_ear_slope(depth, mesh, measure_face(mesh.astype(np.float32)), GRID)


STANDS_OFF_DEG = 38.0
LARGEST_GAIN = 1.18 * 1.2
"""Largest gain of a yaw and largest relief of a free view."""


def growth(eased: np.ndarray, mesh: np.ndarray, side: int) -> float:
    """Return how many times an ear's width grows in a turn by 30 degrees with the largest gain."""
    outwards = 2 * side - 1
    points = mesh[TEMPLES[side], :2] + FACE_PX * np.array([[0.02 * outwards, 0.15], [0.18 * outwards, 0.15]])
    near, far = GRID.sample(eased, points[None].astype(np.float32))[0]
    turn = np.deg2rad(30.0)
    return float(np.cos(turn) + LARGEST_GAIN * np.sin(turn) * (far - near) / (0.16 * FACE_PX))


@pytest.mark.parametrize("yaw_deg", [-25.0, -15.0, 0.0, 15.0, 25.0])
def test_an_ear_grows_about_as_much_as_a_flat_one_that_stands_off_the_head(yaw_deg: float):
    mesh, depth, eased = limited(yaw_deg)
    side = int(yaw_deg < 0.0)
    seen_at = np.deg2rad(STANDS_OFF_DEG + abs(yaw_deg))
    rigid = np.sin(seen_at + np.deg2rad(30.0)) / np.sin(seen_at)
    assert growth(depth, mesh, side) > rigid + 0.2
    assert growth(eased, mesh, side) == pytest.approx(rigid, abs=0.12)
    x, outwards = GRID.nodes()[..., 0], 2 * side - 1
    inside = (np.abs(x - mesh[list(TEMPLES), 0].mean()) < 0.2 * FACE_PX) & ((x - mesh[4, 0]) * outwards < 0.3 * FACE_PX)
    np.testing.assert_array_equal(eased[inside], depth[inside])
    assert (eased <= depth).all()


def test_both_ears_of_a_straight_portrait_are_limited_and_the_far_one_of_a_turned_portrait_is_not():
    mesh, depth, eased = limited(0.0)
    assert growth(eased, mesh, 0) == pytest.approx(growth(eased, mesh, 1), abs=0.02)
    mesh, depth, eased = limited(20.0)
    np.testing.assert_array_equal(eased[:, GRID.columns // 2 + 20 :], depth[:, GRID.columns // 2 + 20 :])


def test_a_gentle_surface_stays():
    mesh, depth, _ = limited(20.0)
    face = measure_face(mesh.astype(np.float32))
    np.testing.assert_array_equal(limit_ear_slope(0.3 * depth, mesh, face, GRID), np.float32(0.3) * depth)


def test_the_surface_beyond_the_ear_nowhere_falls_steeply():
    _, _, eased = limited(20.0)
    assert np.abs(np.diff(eased, axis=1)).max() < 1.9 * GRID.cell
    assert np.abs(np.diff(eased, axis=0)).max() < 1.0 * GRID.cell
