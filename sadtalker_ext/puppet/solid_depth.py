"""Depth of a whole head for large rotations: the sides, the hair and the crown curve back behind the face.

A picture shows none of that depth. It is taken from the shape of heads: behind the outline of the face, the head
reaches back by about as much as the face is wide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.head_depth import thin_plate
from sadtalker_ext.puppet.profiles import smooth_ramp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.warp import Grid


class _Ring(NamedTuple):
    """The face oval scaled about its centre and moved back by ``setback`` face heights."""

    scale: float
    setback: float


_RINGS: Final = (_Ring(1.12, 0.07), _Ring(1.3, 0.22), _Ring(1.6, 0.36), _Ring(2.1, 0.42), _Ring(2.8, 0.42))
"""Temples and ears, the sides of the hair, and the back of the head. With them the outline of a turned head stays as
wide as that of a head, which is deeper than wide; the rings for small rotations are flatter."""
_NECK_SETBACK: Final = 0.16
"""Largest setback below the chin, in face heights: the neck is not as deep as the head."""
_NECK_FROM: Final = 0.0
_NECK_WHOLE: Final = 0.4
"""Positions below the centre of the oval, in face heights, from which and at which points belong to the neck."""
_CROWN_SHARE: Final = 0.65
"""Share of the setback above the forehead, which leans back itself."""
_CROWN_FROM: Final = 0.1
_CROWN_WHOLE: Final = 0.45
"""Positions above the centre of the oval, in face heights, from which and at which points belong to the crown."""
_BEHIND_OVAL: Final = 0.12
"""Setback in face heights that ends at the back of the oval; only larger ones reach behind it. A turned face shows one
side of its oval far back already."""
_BACK_PERCENTILE: Final = 90
"""Percentile of the oval's depth that counts as the back of the face; the largest value may be an outlier."""
_BEHIND_FACE: Final = 0.36
"""How far the surface may lie behind the back of the face, in face heights."""
_MESH_STEP: Final = 5
_RING_STEP: Final = 2
"""Every fifth mesh point and every second point of a ring are used; the surface is smooth."""
_NODE_STEP: Final = 2
"""The surface is computed on every second node; it is smooth, and all nodes take four times as long."""
_STEEPEST: Final = 1.35
"""Largest slope of the surface. At 30 degrees a steeper one, such as the far cheek of a face that is already turned,
would stretch the few pixels that show it to more than 1.7 times their size."""
_BLUR: Final = 0.03
"""Smoothing in face heights, at the resolution of the mesh."""
_DIRECTIONS: Final = (
    (1, 0), (0, 1), (1, 1), (1, -1), (2, 1), (2, -1), (1, 2), (-1, 2),
    (-1, 0), (0, -1), (-1, -1), (-1, 1), (-2, -1), (-2, 1), (-1, -2), (1, -2),
)  # fmt: skip
"""Steps in cells in which slopes are limited; between them a slope exceeds the limit by at most 3 %."""


def solid_depth(mesh: Float64Array, face: FaceGeometry, grid: Grid) -> Float32Array:
    """Return the depth (rows, columns) in pixels on the nodes of ``grid`` for the mesh (478, 3) of ``face``."""
    nodes = grid.nodes()
    points = nodes[::_NODE_STEP, ::_NODE_STEP].astype(np.float64)
    oval = mesh[list(topo.FACE_OVAL)]
    centre, unit = oval[:, :2].mean(0), face.height_px
    back = float(np.percentile(oval[:, 2], _BACK_PERCENTILE))
    inside = mesh[np.arange(0, topo.FACE_POINTS, _MESH_STEP)]
    known = np.concatenate([inside, oval, *_rings(oval, centre, back, face)])
    targets = (points.reshape(-1, 2) - centre) / unit
    surface = thin_plate((known[:, :2] - centre) / unit, known[:, 2] / unit, targets)
    nearest, farthest = float(mesh[:, 2].min()) / unit, back / unit + _BEHIND_FACE
    coarse = (np.clip(surface, nearest, farthest).reshape(points.shape[:-1]) * unit).astype(np.float32)
    columns, rows = np.meshgrid(*(np.arange(size, dtype=np.float32) / _NODE_STEP for size in nodes.shape[1::-1]))
    depth = cv2.remap(coarse, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gentle = limit_slope(np.asarray(depth, np.float32), _STEEPEST * grid.cell)
    smooth = cv2.GaussianBlur(gentle, (0, 0), _BLUR * unit / grid.cell, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth, np.float32)


def _rings(oval: Float64Array, centre: Float64Array, back: float, face: FaceGeometry) -> list[Float64Array]:
    below = (oval[:, :2] - centre) @ face.axes.down / face.height_px
    neck = smooth_ramp(below, _NECK_FROM, _NECK_WHOLE)
    crown = smooth_ramp(-below, _CROWN_FROM, _CROWN_WHOLE)
    rings = []
    for scale, whole in _RINGS:
        setback = whole + neck * (min(whole, _NECK_SETBACK) - whole)
        setback = setback * (1.0 - (1.0 - _CROWN_SHARE) * crown)
        ring = oval.copy()
        ring[:, :2] = centre + scale * (ring[:, :2] - centre)
        limit = back + np.maximum(setback - _BEHIND_OVAL, 0.0) * face.height_px
        ring[:, 2] = np.maximum(ring[:, 2], np.minimum(ring[:, 2] + setback * face.height_px, limit))
        rings.append(ring[::_RING_STEP])
    return rings


def limit_slope(depth: Float32Array, rise: float) -> Float32Array:
    """Return the largest surface that is nowhere behind ``depth`` (rows, columns) and rises by ``rise`` a cell at most.

    Lower envelope of the cones that stand on every node, by steps of 1, 2, 4, ... cells.
    """
    rows, columns = depth.shape
    step = 1
    while step < max(rows, columns):
        envelope = depth
        for x, y in _DIRECTIONS:
            shifted = _shifted(depth, (x * step, y * step)) + np.float32(rise * step * float(np.hypot(x, y)))
            envelope = np.minimum(envelope, shifted)
        depth, step = envelope, 2 * step
    return depth


def visible_depth(depth: Float32Array, front: Float64Array, rise: float) -> Float32Array:
    """Return the depth (rows, columns) with what is hidden after a rotation brought up to the edge that hides it.

    front: (2,) unit vector, the direction in the picture in which the front of the head moves. rise: cells a node may
    lie deeper than another that is one cell before it in that direction. Without this, the far side of a turned nose
    or cheek would fold over what it hides.
    """
    step, limit = 1.0, 0.5 * max(depth.shape)
    while step < limit:
        shifted = _shifted(depth, (float(front[0]) * step, float(front[1]) * step), cv2.INTER_LINEAR)
        depth, step = np.minimum(depth, shifted + np.float32(rise * step)), 2.0 * step
    return depth


def _shifted(values: Float32Array, by: tuple[float, float], interpolation: int = cv2.INTER_NEAREST) -> Float32Array:
    """Return ``values`` (rows, columns) moved by (x, y) cells; the border values continue."""
    matrix = np.array([[1.0, 0.0, -by[0]], [0.0, 1.0, -by[1]]], np.float32)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(values, matrix, values.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)
