"""A displacement and its inverse cancel; grids map to pixels exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sadtalker_ext.puppet.imaging import CpuImaging, supersample
from sadtalker_ext.puppet.warp import Box, Displacement, Grid, determinant_of, squeezed_footprints, stretched_share


def smooth_shift(grid: Grid, size: float) -> np.ndarray:
    nodes = grid.nodes()
    x, y = nodes[..., 0] / 90.0, nodes[..., 1] / 70.0
    return (size * np.stack([np.sin(x + y), np.cos(y - 0.5 * x)], axis=-1)).astype(np.float32)


@pytest.mark.parametrize("size", [2.0, 12.0, 30.0])
def test_backward_inverts_forward(size):
    grid = Grid(-20, -30, 4, 80, 90)
    warp = Displacement.on(grid, smooth_shift(grid, size))
    points = grid.nodes()[15:-15, 15:-15]
    back = warp.backward(warp.forward(points))
    assert np.abs(back - points).max() < 0.02 * size + 0.05


def test_a_grid_covers_its_box_and_its_node_positions_upsample_to_pixel_positions():
    grid = Grid.cover(Box(13.2, 7.9, 240.0, 99.5), 40)
    assert (grid.x0, grid.y0) == (13, 7)
    assert grid.x0 + grid.width > 240
    assert grid.y0 + grid.height > 99
    dense = CpuImaging().upsample(grid.nodes(margin=1), grid.cell)
    columns, rows = np.meshgrid(np.arange(grid.width) + grid.x0, np.arange(grid.height) + grid.y0)
    np.testing.assert_allclose(dense[..., 0], columns, atol=1e-3)
    np.testing.assert_allclose(dense[..., 1], rows, atol=1e-3)


def test_supersampling_keeps_the_pixels_and_is_cubic_between_them():
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (40, 50, 3), np.uint8), (0, 0), 2.0)
    double = supersample(picture)
    np.testing.assert_array_equal(double[0::2, 0::2], picture)
    line = picture[:, :, 0].astype(float)
    middle = (9 * (line[:, 10] + line[:, 11]) - line[:, 9] - line[:, 12]) / 16.0
    assert np.abs(double[0::2, 21, 0] - middle).max() <= 0.51


def test_squeezed_shares_and_footprints_are_those_of_the_largest_derivative():
    grid = Grid(0, 0, 4, 20, 24)
    nodes = grid.nodes()
    for factor, share in ((1.0, 0.0), (1.4, 0.0), (2.25, 0.5), (3.0, 1.0), (5.0, 1.0)):
        for axis in (0, 1):
            source = nodes.copy()
            source[..., axis] *= factor
            shares, footprints = squeezed_footprints(source, grid.cell)
            np.testing.assert_allclose(shares[2:-2, 2:-2], share, atol=1e-4)
            if factor > 1.0:
                expected = factor * np.eye(2)[axis]
                np.testing.assert_allclose(footprints[2:-2, 2:-2] - expected, 0.0, atol=1e-4)


def test_areas_and_stretch_are_those_of_a_linear_map():
    nodes = Grid(0, 0, 4, 12, 15).nodes()
    matrix = np.array([[0.5, 0.2], [-0.1, 0.8]], np.float32)
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(determinant_of(nodes @ matrix.T, 4)[inner], np.linalg.det(matrix), rtol=1e-4)
    shares = [stretched_share(nodes * np.float32(scale), 4)[inner] for scale in (1.0, 0.87, 0.6)]
    assert (shares[0] == 0.0).all()
    assert ((shares[1] > 0.1) & (shares[1] < 0.9)).all()
    assert (shares[2] == 1.0).all()
