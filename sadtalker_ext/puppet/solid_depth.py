"""Depth of a whole head for large rotations: the sides, the hair and the crown curve back behind the face.

A picture shows none of that depth. It is taken from the shape of heads: the outline of a head is that of a ball, which
lies in a plane behind the ears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.ear_slope import limit_ear_slope
from sadtalker_ext.puppet.eye_slope import limit_eye_slope
from sadtalker_ext.puppet.head_depth import thin_plate
from sadtalker_ext.puppet.profiles import smooth_ramp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.warp import Grid


class _Ring(NamedTuple):
    """The face oval scaled about its centre; its depth is ``share`` of the way to that of the head's outline."""

    scale: float
    share: float


_RINGS: Final = (_Ring(1.12, 0.13), _Ring(1.3, 0.5), _Ring(1.6, 0.85), _Ring(2.1, 1.0), _Ring(2.8, 1.0))
"""Temples and ears, the sides of the hair, and the outline of the head."""
_OUTLINE: Final = 0.15
"""Depth of the outline of a head behind the back of the face, in face heights. With it the outline of a turned head
stays nearly as wide; with more, the hair leans back and the far side of it is lost."""
_NECK_SETBACK: Final = 0.16
_NECK_BACK: Final = 0.04
"""Largest depth below the chin behind the oval, and behind the back of the face, in face heights: the neck is not as
deep as the head."""
_NECK_FROM: Final = -0.05
_NECK_WHOLE: Final = 0.4
"""Positions below the centre of the oval, in face heights, from which and at which points belong to the neck."""
_CROWN_FROM: Final = 0.1
_CROWN_WHOLE: Final = 0.45
"""Positions above the centre of the oval, in face heights, from which and at which points belong to the crown."""
CROWN_IN_YAW: Final = 0.5
CROWN_IN_PITCH: Final = 0.35
"""Share of the way to the outline's depth above the forehead. In a yaw, a deep crown would be drawn out to a point on
one side. In a nod, the hair above the forehead, of which the picture shows little, would be stretched or vanish, and
where the border of the picture cuts the hair the forehead would become tall; a flat crown would come down so far that
the whole head would have to move up."""
_BACK_PERCENTILE: Final = 90
"""Percentile of the oval's depth that counts as the back of the face; the largest value may be an outlier."""
_BEHIND_FACE: Final = 0.3
"""How far the surface may lie behind the back of the face, in face heights."""
_MESH_STEP: Final = 2
_RING_STEP: Final = 2
"""Every second mesh point and every second point of a ring are used; the surface is smooth."""
_NODE_STEP: Final = 2
"""The surface is computed on every second node; it is smooth, and all nodes take four times as long."""
_STEEPEST: Final = 1.35
"""Largest slope of the surface. At 30 degrees a steeper one, such as the far cheek of a face that is already turned,
would stretch the few pixels that show it to more than 1.7 times their size."""
_STEEPEST_FAR: Final = 1.7
"""The same on the far side of a turned face, which is filled from the near side where it is stretched. With less, the
jaw of the far side would stay cut off."""
_BLUR: Final = 0.03
_EDGE_BLUR: Final = 0.012
"""Smoothing in face heights: at the resolution of the mesh, and of the edges where the limit of the slope begins."""
_DIRECTIONS: Final = (
    (1, 0), (0, 1), (1, 1), (1, -1), (2, 1), (2, -1), (1, 2), (-1, 2),
    (-1, 0), (0, -1), (-1, -1), (-1, 1), (-2, -1), (-2, 1), (-1, -2), (1, -2),
)  # fmt: skip
"""Steps in cells in which slopes are limited; between them a slope exceeds the limit by at most 3 %."""


def solid_depth(
    mesh: Float64Array, face: FaceGeometry, grid: Grid, crown: float, far: Float32Array | None = None
) -> Float32Array:
    """Return the depth (rows, columns) in pixels on the nodes of ``grid`` for the mesh (478, 3) of ``face``.

    crown: how deep the crown is, :data:`CROWN_IN_YAW` or :data:`CROWN_IN_PITCH`. far: (rows, columns), share of the far
    side of a turned face, see :func:`~sadtalker_ext.puppet.far_side.far_share`; None: it is not turned.
    """
    nodes = grid.nodes()
    points = nodes[::_NODE_STEP, ::_NODE_STEP].astype(np.float64)
    oval = mesh[list(topo.FACE_OVAL)]
    centre, unit = oval[:, :2].mean(0), face.height_px
    back = float(np.percentile(oval[:, 2], _BACK_PERCENTILE))
    inside = mesh[np.arange(0, topo.FACE_POINTS, _MESH_STEP)]
    known = np.concatenate([inside, oval, *_rings(oval, back, face, crown)])
    targets = (points.reshape(-1, 2) - centre) / unit
    surface = thin_plate((known[:, :2] - centre) / unit, known[:, 2] / unit, targets)
    nearest, farthest = float(mesh[:, 2].min()) / unit, back / unit + _BEHIND_FACE
    coarse = (np.clip(surface, nearest, farthest).reshape(points.shape[:-1]) * unit).astype(np.float32)
    columns, rows = np.meshgrid(*(np.arange(size, dtype=np.float32) / _NODE_STEP for size in nodes.shape[1::-1]))
    depth = cv2.remap(coarse, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    smooth = _blurred(np.asarray(depth, np.float32), _BLUR * unit / grid.cell)
    eased = limit_eye_slope(smooth, mesh, face, grid)
    gentle = limit_slope(eased, _STEEPEST * grid.cell)
    limited = limit_ear_slope(gentle, mesh, face, grid)
    if far is not None and far.any():
        limited += far * (limit_slope(eased, _STEEPEST_FAR * grid.cell) - gentle)
    return _blurred(limited, _EDGE_BLUR * unit / grid.cell)


def _blurred(depth: Float32Array, sigma: float) -> Float32Array:
    return np.asarray(cv2.GaussianBlur(depth, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def _rings(oval: Float64Array, back: float, face: FaceGeometry, crown: float) -> list[Float64Array]:
    """Return points (N, 3) around the face for its oval (36, 3), the back of which is at depth ``back``."""
    centre, unit = oval[:, :2].mean(0), face.height_px
    below = (oval[:, :2] - centre) @ face.axes.down / unit
    neck = smooth_ramp(below, _NECK_FROM, _NECK_WHOLE)
    reach = 1.0 - (1.0 - crown) * smooth_ramp(-below, _CROWN_FROM, _CROWN_WHOLE)
    rings = []
    for scale, share in _RINGS:
        head = oval[:, 2] + share * reach * (back + _OUTLINE * unit - oval[:, 2])
        flat = np.minimum(oval[:, 2] + share * _NECK_SETBACK * unit, back + _NECK_BACK * unit)
        ring = oval.copy()
        ring[:, :2] = centre + scale * (ring[:, :2] - centre)
        ring[:, 2] = head + neck * (np.maximum(oval[:, 2], flat) - head)
        rings.append(ring[::_RING_STEP])
    return rings


def limit_slope(depth: Float32Array, rise: float) -> Float32Array:
    """Return the largest surface that is nowhere behind ``depth`` (rows, columns) and rises by ``rise`` a cell at most.

    Lower envelope of the cones that stand on every node, by steps of 1, 2, 4, ... cells, and of 1 again, because sums
    of these steps in different directions leave gaps.
    """
    steps = [2**power for power in range(int(max(depth.shape) - 1).bit_length())]
    for step in (*steps, 1):
        envelope = depth
        for x, y in _DIRECTIONS:
            shifted = _shifted(depth, (x * step, y * step)) + np.float32(rise * step * float(np.hypot(x, y)))
            envelope = np.minimum(envelope, shifted)
        depth = envelope
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
