"""Eyes of a turned face: as steep as the landmarks, so that they keep their shape when the head turns back."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.eye_slope import limit_eye_slope
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.head import rotation_matrix
from sadtalker_ext.puppet.solid_head import build_solid_head
from sadtalker_ext.puppet.warp import Box, Grid

SIDE_PX = 400
FACE_PX = 200.0
EYES = (
    (*topo.RIGHT_EYE_UPPER, *topo.RIGHT_EYE_LOWER[1:-1]),
    (*topo.LEFT_EYE_UPPER, *topo.LEFT_EYE_LOWER[1:-1]),
)
GRID = Grid.cover(Box(0, 0, SIDE_PX - 1, SIDE_PX - 1), 130)


def turned_mesh(yaw_deg: float) -> np.ndarray:
    matrix = rotation_matrix(np.deg2rad([0.0, yaw_deg, 0.0]))
    return FACE_PX * mean_face_mesh().astype(float) @ matrix.T + [SIDE_PX / 2, SIDE_PX / 2, 0.0]


def width_of(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[0] - points[8]))


@pytest.mark.parametrize(("rest_deg", "turn_deg"), [(-19.0, 30.0), (19.0, -30.0), (0.0, 30.0), (8.0, -30.0)])
def test_an_eye_that_comes_into_view_is_as_wide_as_that_of_the_turned_mean_face(rest_deg, turn_deg):
    mesh = turned_mesh(rest_deg)
    face = measure_face(mesh.astype(np.float32))
    head = build_solid_head(face, mesh.astype(np.float32), GRID, (SIDE_PX, SIDE_PX), None)
    moved = head.displace(np.deg2rad([0.0, turn_deg, 0.0]), np.zeros(3)).forward(mesh[None, :, :2].astype(np.float32))
    expected = mesh - mesh.mean(axis=0)
    expected = expected @ rotation_matrix(np.deg2rad([0.0, turn_deg, 0.0])).T
    ratios = [width_of(moved[0, list(eye)]) / width_of(expected[list(eye), :2]) for eye in EYES]
    comes, leaves = ratios if turn_deg > 0 else reversed(ratios)
    assert comes == pytest.approx(1.0, abs=0.06)
    assert 0.82 < leaves < 1.05


def test_only_the_surroundings_of_steep_eyes_change():
    mesh = turned_mesh(-18.0)
    face = measure_face(mesh.astype(np.float32))
    nodes = GRID.nodes().astype(float)
    steep = (1.6 * (nodes @ [-0.8, 0.6])).astype(np.float32)
    eased = limit_eye_slope(steep, mesh, face, GRID)
    for outline in EYES:
        points = mesh[list(outline)]
        design = np.concatenate([points[:, :2] - points[:, :2].mean(axis=0), np.ones((16, 1))], axis=1)
        on_eased = GRID.sample(eased, points[None, :, :2].astype(np.float32))[0]
        own, now = (np.linalg.lstsq(design, values, rcond=None)[0][:2] for values in (points[:, 2], on_eased))
        np.testing.assert_allclose(now, own, atol=0.03)
    eyes = mesh[[row for outline in EYES for row in outline], :2]
    away = np.linalg.norm(nodes[..., None, :] - eyes, axis=-1).min(axis=-1) > 0.2 * FACE_PX
    np.testing.assert_allclose(eased[away], steep[away], atol=1e-3)
    np.testing.assert_array_equal(limit_eye_slope(np.zeros_like(steep), mesh, face, GRID), 0.0)
