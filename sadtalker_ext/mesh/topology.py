"""Triangles of the face mesh: the skin of the 468 landmarks, cut open between the lips.

``face_triangles.npz`` holds ``triangles`` (732, 3) int16: the Delaunay triangulation (Delaunay 1934) of one half of the
mean face, unrolled onto a cylinder, and its mirror image. Eyes and lips are left out. The test
``tests/mesh/test_mesh_topology.py`` computes it again. The lips are strips between their four rings of landmarks.

Triangles run clockwise as the viewer sees them.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.models.face_mesh_regions import (
    LEFT_EYE,
    LEFT_EYE_CONTOUR,
    LIPS,
    RIGHT_EYE,
    RIGHT_EYE_CONTOUR,
)
from sadtalker_ext.puppet.topology import FACE_POINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RING: Final = 20
_CHAIN: Final = 11
"""Landmarks on one ring of the lips, and on its upper or lower half with both corners."""
_OUTSIDE_IN: Final = (0, 2, 3, 1)
"""Order of the rings in :data:`LIPS`, from the outer contour to the inner one."""


def _upper(ring: tuple[int, ...]) -> tuple[int, ...]:
    return (ring[0], *ring[_CHAIN:], ring[_CHAIN - 1])


_RINGS: Final = tuple(LIPS[_RING * index : _RING * (index + 1)] for index in _OUTSIDE_IN)
SPLIT: Final = tuple(corner for ring in _RINGS[1:] for corner in (ring[0], ring[_CHAIN - 1]))
"""Landmarks in the mouth corners that have a second vertex, on the lower lip; both lie on the seam."""
_SECOND: Final = {point: FACE_POINTS + index for index, point in enumerate(SPLIT)}
SKIN_VERTICES: Final = FACE_POINTS + len(SPLIT)
"""The landmarks, followed by the second vertices of :data:`SPLIT`."""

UPPER_LIP: Final = tuple(_upper(ring) for ring in _RINGS)
LOWER_LIP: Final = tuple(tuple(_SECOND.get(point, point) for point in ring[:_CHAIN]) for ring in _RINGS)
"""Vertices of each lip in four rows from the outer contour to the edge of the opening, left to right in the picture."""
UPPER_EDGE: Final = (UPPER_LIP[0][0], *(row[0] for row in UPPER_LIP[1:]), *UPPER_LIP[-1][1:-1],
                     *(row[-1] for row in UPPER_LIP[:0:-1]), UPPER_LIP[0][-1])  # fmt: skip
LOWER_EDGE: Final = (LOWER_LIP[0][0], *(row[0] for row in LOWER_LIP[1:]), *LOWER_LIP[-1][1:-1],
                     *(row[-1] for row in LOWER_LIP[:0:-1]), LOWER_LIP[0][-1])  # fmt: skip
"""The two sides of the cut between the lips, from the picture-left to the picture-right corner, which they share."""

EYE_CONTOURS: Final = (LEFT_EYE_CONTOUR, RIGHT_EYE_CONTOUR)
"""Contours of the eye on the left and on the right of the picture, each from the outer corner along the lower lid to
the inner corner, then along the upper lid from the outer to the inner corner."""
_EYE_RING: Final = len(LEFT_EYE_CONTOUR)
EYE_RINGS: Final = tuple(
    tuple(eye[start : start + _EYE_RING] for start in range(0, 3 * _EYE_RING, _EYE_RING))
    for eye in (LEFT_EYE, RIGHT_EYE)
)
"""The contour of each eye and the two rings of landmarks around it, in the same order."""


@lru_cache(maxsize=1)
def skin_triangles() -> NDArray[np.int64]:
    """Return the triangles (M, 3) of the skin; the holes are the eyes and the cut between the lips."""
    source = resources.files("sadtalker_ext.mesh") / "face_triangles.npz"
    with source.open("rb") as file, np.load(file) as tables:
        face = tables["triangles"].astype(np.int64)
    upper = [strip(above, below) for above, below in pairwise(UPPER_LIP)]
    lower = [strip(above, below) for below, above in pairwise(LOWER_LIP)]
    return np.concatenate([face, *upper, *lower])


def strip(above: tuple[int, ...], below: tuple[int, ...]) -> NDArray[np.int64]:
    """Return two triangles for each quadrilateral between two rows of N vertices, both from left to right."""
    a, b = np.asarray(above), np.asarray(below)
    first = np.stack([a[:-1], a[1:], b[1:]], axis=1)
    second = np.stack([a[:-1], b[1:], b[:-1]], axis=1)
    triangles: NDArray[np.int64] = np.concatenate([first, second]).astype(np.int64)
    return triangles


def ring_triangles(around: int, rings: int) -> NDArray[np.int64]:
    """Return two triangles for each quadrilateral between closed rings of ``around`` vertices; rings follow each other.

    An edge of a triangle on the nearer of its two rings runs in the order of the ring.
    """
    here = np.arange(around)
    after = (here + 1) % around
    sides = []
    for near, far in pairwise(around * np.arange(rings)):
        sides.append(np.stack([near + here, near + after, far + after], axis=1))
        sides.append(np.stack([near + here, far + after, far + here], axis=1))
    triangles: NDArray[np.int64] = np.concatenate(sides).astype(np.int64)
    return triangles


def closed_ring_triangles(around: int, rings: int, tips: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return :func:`ring_triangles` and those that close the last ring with the vertices ``tips`` (around,).

    tips: one vertex for each edge of the last ring; all may be the same, or copies of a point with their own texels.
    """
    here = around * (rings - 1) + np.arange(around)
    fan = np.stack([here, np.roll(here, -1), tips], axis=1)
    return np.concatenate([ring_triangles(around, rings), fan])


def grid_triangles(rows: int, columns: int, first: int = 0) -> NDArray[np.int64]:
    """Return the triangles of a grid of vertices in row order that begins with vertex ``first``."""
    index = first + np.arange(rows * columns).reshape(rows, columns)
    strips = [strip(tuple(above), tuple(below)) for above, below in pairwise(index)]
    return np.concatenate(strips)
