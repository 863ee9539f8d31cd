"""Shaded pictures against an independent z-buffer, and the rasteriser's interpolation against plane equations."""

import numpy as np
import pytest
from puppet_portraits import shape

from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.mesh.animation import animate_mesh
from sadtalker_ext.mesh.raster import NOTHING, draw_layers, draw_triangles, interpolate
from sadtalker_ext.mesh.shading import ShadedView

TRIANGLES = np.array([[0, 1, 2], [3, 4, 5]])
POINTS = np.array([[4, 4, 2], [40, 6, 2], [20, 44, 2], [10, 10, 1], [30, 12, 1], [18, 30, 1]], float)


def test_nearer_triangle_hides_the_farther_one():
    shown = draw_triangles(POINTS, TRIANGLES, (48, 48))
    assert shown[15, 18] == 1
    assert shown[8, 30] == 0
    assert shown[40, 2] == NOTHING


def test_triangles_that_face_away_are_not_drawn():
    shown = draw_triangles(POINTS, TRIANGLES[:, ::-1], (48, 48))
    assert (shown == NOTHING).all()


def test_layers_are_compared_by_the_depth_of_pixels():
    """A triangle that leans through another one is in front on one side only."""
    leaning = POINTS.copy()
    leaning[3:, 2] = [0.0, 4.0, 2.0]
    shown = draw_layers(leaning, (TRIANGLES[:1], TRIANGLES[1:]), (48, 48))
    assert shown[13, 13] == 1
    assert shown[13, 27] == 0


def test_interpolation_is_linear():
    shown = draw_triangles(POINTS, TRIANGLES[:1], (48, 48))
    inside, values = interpolate(shown, POINTS, TRIANGLES[:1], POINTS[:, :2].astype(np.float32))
    rows, columns = np.nonzero(inside)
    well_inside = (np.abs(values - np.stack([columns, rows], axis=1)) < 0.01).all(axis=1)
    assert well_inside.mean() > 0.85  # the others are border pixels, whose centres are outside
    assert np.abs(values - np.stack([columns, rows], axis=1)).max() < 1.5


@pytest.fixture(scope="module")
def pictures(face_mesh, renderer):
    rows = np.array([shape(), shape(jaw_open=0.7), shape()])
    turns = np.zeros((3, 3), np.float32)
    turns[2, 1] = 0.5
    motion = Motion(rows, turns, np.zeros((3, 3), np.float32))
    return list(ShadedView(face_mesh, 160).frames(animate_mesh(renderer.rig, motion, 25.0)))


def test_pictures_have_a_white_background_and_a_grey_face(pictures):
    assert all(picture.shape == (160, 160, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert (pictures[0][0] == 255).all()
    face = pictures[0][60:100, 60:100]
    assert 90 < face.mean() < 230
    assert face.std() > 5


def test_open_mouth_is_dark_inside(pictures):
    changed = np.abs(pictures[1].astype(int) - pictures[0]).max(axis=2) > 25
    assert changed.sum() > 100
    assert pictures[1][changed].mean() < pictures[0][changed].mean() - 20


def test_turned_head_is_seen_from_the_side(pictures):
    outline = [(picture.min(axis=2) < 250).sum(axis=0) for picture in pictures]
    middles = [np.average(np.arange(160), weights=line) for line in outline]
    assert abs(middles[2] - middles[0]) > 1.0


def test_silhouette_is_that_of_an_independent_painter(face_mesh, draw, pictures):
    """Same share of the picture, at the scale of each."""
    shown, _, points = draw(np.zeros(len(face_mesh.names), np.float32))
    area = (shown >= 0).sum() / np.ptp(points[:, 1]) ** 2
    inside = pictures[0].min(axis=2) < 200
    height = np.ptp(np.flatnonzero(inside.any(axis=1)))
    assert inside.sum() / height**2 == pytest.approx(area, rel=0.05)
