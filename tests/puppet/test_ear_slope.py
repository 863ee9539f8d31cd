"""The near ear of a turned portrait: less steep than the side of the head, and the surface elsewhere as before."""

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


@pytest.mark.parametrize("yaw_deg", [-25.0, -15.0, 15.0, 25.0])
def test_the_near_ear_stands_off_by_30_degrees_more_than_the_portrait_is_turned(yaw_deg: float):
    mesh, depth, eased = limited(yaw_deg)
    side = int(yaw_deg < 0.0)
    outwards = 2 * side - 1
    points = mesh[TEMPLES[side], :2] + FACE_PX * np.array([[0.02 * outwards, 0.15], [0.14 * outwards, 0.15]])
    near, far = GRID.sample(eased, points[None].astype(np.float32))[0]
    assert (far - near) / (0.12 * FACE_PX) == pytest.approx(1.0 / np.tan(np.deg2rad(30.0 + abs(yaw_deg))), abs=0.12)
    x = GRID.nodes()[..., 0]
    inside = (x - mesh[TEMPLES[side], 0]) * outwards < -0.05 * FACE_PX
    np.testing.assert_array_equal(eased[inside], depth[inside])
    assert (eased <= depth).all()


def test_the_surface_of_a_straight_portrait_and_a_gentle_one_stay():
    mesh, depth, eased = limited(3.0)
    np.testing.assert_array_equal(eased, depth)
    mesh, depth, _ = limited(20.0)
    face = measure_face(mesh.astype(np.float32))
    np.testing.assert_array_equal(limit_ear_slope(0.3 * depth, mesh, face, GRID), 0.3 * depth)


def test_the_surface_beyond_the_ear_nowhere_falls_steeply():
    _, _, eased = limited(20.0)
    assert np.abs(np.diff(eased, axis=1)).max() < 1.9 * GRID.cell
    assert np.abs(np.diff(eased, axis=0)).max() < 1.0 * GRID.cell
