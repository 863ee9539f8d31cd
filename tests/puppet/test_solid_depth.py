"""Depth of the solid head against brute force."""

import numpy as np
import pytest
from puppet_portraits import mesh_of

from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.solid_depth import CROWN_IN_YAW, limit_slope, solid_depth, visible_depth
from sadtalker_ext.puppet.warp import Box, Grid


@pytest.fixture(scope="module")
def rough():
    return np.random.default_rng(2).normal(size=(23, 31)).astype(np.float32) * 4


def test_limited_slopes_are_the_lower_envelope_of_cones(rough):
    rows, columns = np.mgrid[:23, :31]
    at = np.stack([rows.ravel(), columns.ravel()], axis=1)
    far = np.linalg.norm(at[:, None] - at[None], axis=-1)
    cones = (rough.ravel()[None] + 0.7 * far).min(axis=1).reshape(rough.shape)
    limited = limit_slope(rough, 0.7)
    assert (limited >= cones - 1e-4).all()
    assert (limited - cones).max() < 0.03 * 0.7 * np.hypot(23, 31)
    assert (limited <= rough).all()


def test_a_gentle_surface_is_not_changed_by_the_limit():
    slope = np.add.outer(0.3 * np.arange(20), -0.2 * np.arange(30)).astype(np.float32)
    np.testing.assert_allclose(limit_slope(slope, 0.7)[3:-3, 3:-3], slope[3:-3, 3:-3], atol=1e-5)


@pytest.mark.parametrize(("front", "flips"), [((1.0, 0.0), ()), ((-1.0, 0.0), (1,)), ((0.0, -1.0), (0,))])
def test_visible_depth_is_the_running_minimum_along_the_motion(rough, front, flips):
    facing = np.flip(rough, flips)
    if front[0] == 0.0:
        facing = facing.T
    size = facing.shape[1]
    expected = np.stack([min_over(facing, column, 0.4) for column in range(size)], axis=1)
    visible = visible_depth(rough, np.array(front), 0.4)
    visible = np.flip(visible, flips)
    if front[0] == 0.0:
        visible = visible.T
    np.testing.assert_allclose(visible[:, : size // 2], expected[:, : size // 2], atol=1e-4)


def min_over(depth: np.ndarray, column: int, rise: float) -> np.ndarray:
    """Return what limits one column: every column before it, plus the rise between them."""
    return np.min([depth[:, at] + rise * (column - at) for at in range(column + 1)], axis=0)


def test_the_head_reaches_back_behind_the_face_and_follows_the_landmarks():
    mesh = mesh_of("astronaut").astype(np.float64)
    face = measure_face(mesh.astype(np.float32))
    grid = Grid.cover(Box.around(mesh[:468, :2], 0.8 * face.height_px), 120)
    depth = solid_depth(mesh, face, grid, CROWN_IN_YAW)
    at = grid.sample(depth, mesh[None, :468, :2].astype(np.float32))[0]
    inner = np.linalg.norm(mesh[:468, :2] - mesh[4, :2], axis=1) < 0.3 * face.height_px
    assert np.corrcoef(at[inner], mesh[:468, 2][inner])[0, 1] > 0.95
    beside = face.axes.pixels(np.array([-0.75, 0.75]) * face.height_px, np.array([-0.4, -0.4]) * face.height_px)
    behind = grid.sample(depth, beside[None].astype(np.float32))[0] - np.percentile(mesh[:468, 2], 90)
    assert (behind > 0.1 * face.height_px).all()
    assert np.hypot(*np.gradient(depth)).max() <= 1.5 * grid.cell


def test_the_far_side_of_a_turned_face_may_be_steeper():
    mesh = mesh_of("astronaut").astype(float)
    face = measure_face(mesh)
    grid = Grid.cover(Box.around(mesh[:468, :2], face.height_px), 60)
    gentle = solid_depth(mesh, face, grid, CROWN_IN_YAW)
    none, whole = (
        solid_depth(mesh, face, grid, CROWN_IN_YAW, np.full(gentle.shape, share, np.float32)) for share in (0.0, 1.0)
    )
    np.testing.assert_array_equal(none, gentle)
    assert (whole >= gentle - 1e-3).all()
    assert np.abs(np.diff(whole, axis=1)).max() > 1.2 * np.abs(np.diff(gentle, axis=1)).max()
