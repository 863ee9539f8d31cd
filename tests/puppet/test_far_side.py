"""The far side of a turned face is filled from the near side: its details, in the light of the far side."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.interpolate import griddata

from sadtalker_ext.geometry.mean_face import mean_face_mesh, mirror_points
from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.far_side import build_far_side, far_share, rest_yaw
from sadtalker_ext.puppet.imaging import CpuImaging
from sadtalker_ext.puppet.warp import Box, Grid

SIDE_PX = 320
FACE_PX = 200.0


def turned_mesh(yaw_deg: float) -> np.ndarray:
    angle = np.deg2rad(yaw_deg)
    matrix = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    return (FACE_PX * mean_face_mesh() @ matrix.T + [SIDE_PX / 2, SIDE_PX / 2, 0]).astype(np.float32)


def skin(mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of skin with spots that are symmetric and light that is not, and its spots (H, W) in levels."""
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    head = FACE_PX * mean_face_mesh()[:468, :2]
    across, down = (
        griddata(mesh[:468, :2], head[:, axis], (columns, rows), method="linear", fill_value=0.0) for axis in (0, 1)
    )
    spots = 8.0 * np.sin(0.2 * np.abs(across)) * np.sin(0.2 * down)
    levels = 150.0 - 0.4 * across + spots
    return np.clip(np.repeat(levels[..., None], 3, axis=-1), 0, 255).astype(np.uint8), spots


def filled(picture: np.ndarray, mesh: np.ndarray):
    face = measure_face(mesh)
    grid = Grid.cover(Box(0, 0, SIDE_PX - 1, SIDE_PX - 1), 80)
    return build_far_side(picture, mesh, np.ones(picture.shape[:2], np.float32), (face, grid), CpuImaging())


def on_pixels(far) -> tuple[np.ndarray, np.ndarray]:
    """Return the share (H, W) and the levels (H, W) of the filled side at every pixel."""
    columns, rows = np.meshgrid(*(np.arange(SIDE_PX, dtype=np.float32),) * 2)
    points = np.dstack([columns, rows])
    return far.grid.sample(far.share, points), CpuImaging().sample(far.texture, points)[..., 0].astype(float)


def test_the_pairs_of_points_are_those_of_the_mean_face():
    index = np.arange(478, dtype=np.float32)
    partner = mirror_points(index).astype(int)
    np.testing.assert_array_equal(partner[list(topo.MIRRORED_RIGHT)], topo.MIRRORED_LEFT)
    np.testing.assert_array_equal(partner[list(topo.MIDLINE)], topo.MIDLINE)
    np.testing.assert_array_equal(partner[list(topo.FACE_OVAL)], topo.FACE_OVAL_MIRRORED)


@pytest.mark.parametrize("yaw_deg", [-16.0, 2.0, 16.0])
def test_the_yaw_of_the_portrait_tells_its_far_side(yaw_deg):
    mesh = turned_mesh(yaw_deg).astype(float)
    assert np.rad2deg(rest_yaw(mesh)) == pytest.approx(yaw_deg, abs=0.5)
    cheeks = far_share(mesh, measure_face(mesh), mesh[[topo.CHEEK_RIGHT, topo.CHEEK_LEFT], :2])
    far = cheeks[int(yaw_deg > 0)]
    assert far > 0.9 if abs(yaw_deg) > 10 else (cheeks == 0).all()
    assert cheeks.min() == 0.0


@pytest.mark.parametrize("yaw_deg", [-9.5, 9.5])
def test_a_far_cheek_without_details_gets_those_of_the_near_one_in_its_own_light(yaw_deg):
    mesh = turned_mesh(yaw_deg)
    picture, spots = skin(mesh)
    middle = int(mesh[topo.NOSE_BOTTOM, 0])
    far_half = slice(middle, None) if yaw_deg > 0 else slice(None, middle)
    plain = cv2.GaussianBlur(picture, (0, 0), 16.0)
    damaged = picture.copy()
    damaged[:, far_half] = plain[:, far_half]
    share, levels = on_pixels(filled(damaged, mesh))
    used = share > 0.5
    assert used.sum() > 300
    assert not used[:, slice(None, middle) if yaw_deg > 0 else slice(middle, None)].any()
    light = levels - plain[..., 0]
    assert np.corrcoef(light[used], spots[used])[0, 1] > 0.6
    assert abs(light[used].mean()) < 2.0


def test_a_strand_of_hair_before_the_near_cheek_is_not_mirrored():
    mesh = turned_mesh(16.0)
    picture, _ = skin(mesh)
    clean, _ = on_pixels(filled(picture, mesh))
    near = mesh[[50, 187], :2].mean(axis=0)
    cv2.circle(picture, tuple(int(v) for v in near), 10, (20, 20, 20), -1)
    share, _ = on_pixels(filled(picture, mesh))
    partner = mesh[[280, 411], :2].mean(axis=0).astype(int)
    assert clean[partner[1], partner[0]] > 0.3
    assert share[partner[1], partner[0]] < 0.02


def test_a_frontal_portrait_is_not_filled():
    mesh = turned_mesh(2.0)
    assert filled(skin(mesh)[0], mesh) is None
