"""The border of the picture holds a turning head only where it cuts the person."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.solid_head import SolidHead, build_solid_head
from sadtalker_ext.puppet.warp import Box, Grid

FACE_PX = 200.0
NARROW, WIDE = (300, 400), (900, 400)
"""Widths and heights of a picture whose left and right borders are near the ears, and of one with more beside them."""


def head(size: tuple[int, int], hair: float) -> SolidHead:
    """Return the head of a person in the middle of a picture, who is as wide as the face, and ``hair`` below the chin.

    hair: width in face heights.
    """
    width, height = size
    mesh = (FACE_PX * mean_face_mesh() + [width / 2, height / 2, 0.0]).astype(np.float32)
    x, y = np.meshgrid((np.arange(width) - width / 2) / FACE_PX, (np.arange(height) - height / 2) / FACE_PX)
    person = (np.hypot(x / 0.5, y / 0.7) < 1.0) | ((y > 0.5) & (np.abs(x) < hair))
    grid = Grid.cover(Box(0, 0, width - 1, height - 1), max(size) // 8).widened(12)
    return build_solid_head(measure_face(mesh), mesh, grid, size, person.astype(np.float32))


def ears(size: tuple[int, int], hair: float, yaw_deg: float) -> np.ndarray:
    """Return how far points of both ears move to the right, in pixels."""
    middle = np.array(size) / 2
    points = middle + FACE_PX * np.array([[side * across, -0.3] for side in (-1, 1) for across in (0.4, 0.5, 0.6)])
    moved = head(size, hair).displace(np.deg2rad([0.0, yaw_deg, 0.0]), np.zeros(3))
    return (moved.forward(points[None].astype(np.float32))[0] - points)[:, 0]


@pytest.mark.parametrize("yaw_deg", [-25.0, 25.0])
def test_ears_move_as_in_a_wider_picture_where_the_border_shows_background(yaw_deg: float):
    np.testing.assert_allclose(ears(NARROW, 0.3, yaw_deg), ears(WIDE, 0.3, yaw_deg), atol=2.0)


def test_hair_that_the_border_cuts_is_held_there():
    for size, held in ((NARROW, True), (WIDE, False)):
        solid = head(size, 1.0)
        moved = solid.displace(np.deg2rad([0.0, 25.0, 0.0]), np.zeros(3))
        beside = np.float32([[[size[0] / 2 - 145.0, size[1] / 2 + 80.0]]])
        assert (abs(float((moved.forward(beside) - beside)[0, 0, 0])) < 1.5) == held
