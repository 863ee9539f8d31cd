"""Slope of a head's surface at the near ear of a portrait that is turned itself.

An ear stands off the side of the head. The more of it a portrait shows, the less its width grows when the head turns
further; at the slope of the head's side, it would be drawn out to twice its width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet.far_side import rest_yaw
from sadtalker_ext.puppet.profiles import smooth_ramp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.warp import Grid

_TEMPLES: Final = (127, 356)
"""Points of the mesh at the temples, where the right and the left ear begin."""
_STANDS_OFF_RAD: Final = float(np.deg2rad(38.0))
"""Angle between an ear that is seen from the front and the line of sight."""
_AMPLIFIED: Final = 1.3
"""Slope of the rotated surface at an ear divided by that of the depth: by relief, gain and perspective."""
_TURNED_FROM_RAD: Final = float(np.deg2rad(4.0))
_TURNED_RAD: Final = float(np.deg2rad(9.0))
"""Yaw of a portrait from which and at which the slope is limited at the near ear only."""
_ACROSS: Final = (0.03, 0.22)
_DOWN: Final = (-0.04, 0.32)
_FADES: Final = 0.5
"""Extent of an ear outwards and down from this point, and the distance above and below within which the limit fades, in
face heights."""
_EDGE: Final = 0.05
"""Distance inwards and outwards within which it fades."""
_BEYOND: Final = 0.8
"""Distance outwards from an ear, in face heights, at which the surface is as before."""


def limit_ear_slope(depth: Float32Array, mesh: Float64Array, face: FaceGeometry, grid: Grid) -> Float32Array:
    """Return ``depth`` (rows, columns) on the nodes of ``grid``, less steep at the ears of the mesh (478, 3)."""
    yaw = rest_yaw(mesh)
    turned = float(smooth_ramp(np.array(abs(yaw)), _TURNED_FROM_RAD, _TURNED_RAD))
    limited = depth.astype(np.float64)
    for temple, sign in zip(_TEMPLES, (-1.0, 1.0), strict=True):
        away = (grid.nodes() - mesh[temple, :2]) / face.height_px
        across, below = away @ (sign * np.asarray(face.axes.along)), away @ np.asarray(face.axes.down)
        nearness = -sign * yaw
        share = 1.0 if nearness > 0.0 else 1.0 - turned
        steepest = 1.0 / (_AMPLIFIED * float(np.tan(_STANDS_OFF_RAD + max(nearness, 0.0))))
        slope = sign * np.gradient(depth, grid.cell, axis=1)
        limited -= share * face.height_px * _nearer(slope, (across, below), steepest, grid.cell / face.height_px)
    return limited.astype(np.float32)


def _nearer(
    slope: Float64Array, place: tuple[Float64Array, Float64Array], steepest: float, step: float
) -> Float64Array:
    """Return how much nearer (rows, columns) a surface is, in face heights, if it is at most ``steepest`` at an ear.

    slope: (rows, columns) outwards. place: distances (rows, columns) outwards and down from the temple, and step:
    distance of two nodes, in face heights.
    """
    across, below = place
    at_ear = smooth_ramp(across, _ACROSS[0] - _EDGE, _ACROSS[0]) * smooth_ramp(across, _ACROSS[1] + _EDGE, _ACROSS[1])
    at_ear *= smooth_ramp(below, _DOWN[0] - _FADES, _DOWN[0]) * smooth_ramp(below, _DOWN[1] + _FADES, _DOWN[1])
    excess = at_ear * np.maximum(slope - steepest, 0.0)
    outwards = slice(None, None, 1 if across[0, -1] > across[0, 0] else -1)
    nearer = step * np.cumsum(excess[:, outwards], axis=1)[:, outwards]
    return np.asarray(nearer * smooth_ramp(across, _ACROSS[1] + _BEYOND, _ACROSS[1]), np.float64)
