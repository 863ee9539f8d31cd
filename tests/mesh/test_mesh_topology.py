"""Triangles of the face: computed again with SciPy, closed everywhere but at eyes, lips and outline, the lips cut."""

import cv2
import numpy as np
import pytest

from sadtalker_ext.geometry.mean_face import mean_face_mesh, mirror_points
from sadtalker_ext.mesh.holes import border_loops
from sadtalker_ext.mesh.topology import (
    EYE_CONTOURS,
    LOWER_EDGE,
    SKIN_VERTICES,
    UPPER_EDGE,
    closed_ring_triangles,
    grid_triangles,
    ring_triangles,
    skin_triangles,
)
from sadtalker_ext.models.face_mesh_regions import LIPS
from sadtalker_ext.puppet.topology import FACE_OVAL, FACE_POINTS

OUTER_LIPS = (*LIPS[:11], *LIPS[11:20][::-1])
AXIS_BEHIND_FACE = 0.55


def eye(contour):
    return (*contour[:9], *contour[9:][::-1])


def inside(polygon, point):
    return cv2.pointPolygonTest(np.float32(polygon).reshape(-1, 1, 2), tuple(map(float, point)), False) > 0


def edges(triangles):
    return [tuple(sorted(pair)) for a, b, c in triangles.tolist() for pair in ((a, b), (b, c), (c, a))]


def loop(points):
    return {tuple(sorted(pair)) for pair in zip(points, (*points[1:], points[0]), strict=True)}


def computed_again():
    """The triangulation that the module describes, as sorted corners."""
    from scipy.spatial import Delaunay

    mean = mean_face_mesh().astype(float)[:FACE_POINTS]
    mirror = np.rint(mirror_points(np.arange(478, dtype=np.float32)[:, None])[:FACE_POINTS, 0]).astype(int)
    flat = np.stack([np.arctan2(mean[:, 0], AXIS_BEHIND_FACE - mean[:, 2]) * 0.5, mean[:, 1]], axis=1)
    middle = mirror == np.arange(FACE_POINTS)
    flat[middle, 0] = 0.0
    half = np.flatnonzero(((mean[:, 0] < 0) | middle) & ~np.isin(np.arange(FACE_POINTS), LIPS[20:]))
    kept = []
    for triangle in half[Delaunay(flat[half]).simplices]:
        centre = flat[triangle].mean(axis=0)
        holes = (eye(EYE_CONTOURS[0]), OUTER_LIPS)
        if inside(flat[list(FACE_OVAL)], centre) and not any(inside(flat[list(hole)], centre) for hole in holes):
            kept.append(triangle)
    return {tuple(sorted(t)) for t in np.concatenate([kept, mirror[np.array(kept)]]).tolist()}


def test_stored_triangles_are_the_triangulation_of_the_mean_face():
    stored = {tuple(sorted(t)) for t in skin_triangles()[:732].tolist()}
    assert stored == computed_again()


def test_borders_are_the_outline_the_eyes_and_the_cut():
    every = edges(skin_triangles())
    counts = {edge: every.count(edge) for edge in set(every)}
    assert set(counts.values()) == {1, 2}
    border = {edge for edge, count in counts.items() if count == 1}
    cut = (*UPPER_EDGE, *LOWER_EDGE[-2:0:-1])
    expected = loop(FACE_OVAL) | loop(cut) | loop(eye(EYE_CONTOURS[0])) | loop(eye(EYE_CONTOURS[1]))
    assert border == expected


def test_both_sides_of_the_cut_share_only_the_corners():
    assert set(UPPER_EDGE) & set(LOWER_EDGE) == {61, 291}
    assert len(UPPER_EDGE) == len(LOWER_EDGE) == len(set(UPPER_EDGE))


def test_every_vertex_is_used_and_triangles_run_clockwise():
    triangles = skin_triangles()
    assert set(triangles.ravel().tolist()) == set(range(SKIN_VERTICES))
    mean = mean_face_mesh().astype(float)
    corners = mean[triangles[:732], :2]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    assert np.median(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) > 0.0


def test_grid_covers_each_cell_twice():
    triangles = grid_triangles(3, 4, first=10)
    assert len(triangles) == 2 * 2 * 3
    assert triangles.min() == 10
    assert triangles.max() == 21


@pytest.mark.parametrize("copies", [False, True])
def test_closed_rings_are_a_surface_without_a_border_but_the_first_ring(copies):
    around, rings = 7, 4
    tips = around * rings + (np.arange(around) if copies else np.zeros(around, int))
    triangles = closed_ring_triangles(around, rings, tips)
    joined = np.minimum(triangles, around * rings)  # copies of the last point are one place
    (border,) = border_loops(joined)
    assert sorted(border) == list(range(around))
    assert np.roll(border, -border.index(0)).tolist() == list(range(around))
    edges = np.concatenate([joined[:, [0, 1]], joined[:, [1, 2]], joined[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)
    np.testing.assert_array_equal(ring_triangles(around, rings), triangles[: 2 * around * (rings - 1)])
    assert set(triangles.ravel()) == set(range(tips.max() + 1))
