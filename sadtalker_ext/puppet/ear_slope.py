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
_STANDS_OFF_RAD: Final = float(np.deg2rad(30.0))
"""Angle between an ear and the line of sight in a face that looks at the camera."""
_TURNED_FROM_RAD: Final = float(np.deg2rad(4.0))
_TURNED_RAD: Final = float(np.deg2rad(9.0))
"""Yaw of a portrait from which and at which the slope is limited."""
_ACROSS: Final = (-0.04, 0.2)
_DOWN: Final = (-0.04, 0.32)
_FADES: Final = 0.5
"""Extent of an ear outwards and down from this point, and the distance above and below within which the limit fades, in
face heights."""
_BEYOND: Final = 0.8
"""Distance outwards from an ear, in face heights, at which the surface is as before."""


def limit_ear_slope(depth: Float32Array, mesh: Float64Array, face: FaceGeometry, grid: Grid) -> Float32Array:
    """Return ``depth`` (rows, columns) on the nodes of ``grid``, less steep at the near ear of the mesh (478, 3)."""
    yaw = rest_yaw(mesh)
    turned = float(smooth_ramp(np.array(abs(yaw)), _TURNED_FROM_RAD, _TURNED_RAD))
    if turned <= 0.0:
        return depth
    near, sign = (_TEMPLES[0], -1.0) if yaw > 0.0 else (_TEMPLES[1], 1.0)
    away = (grid.nodes() - mesh[near, :2]) / face.height_px
    across, below = away @ (sign * np.asarray(face.axes.along)), away @ np.asarray(face.axes.down)
    within = (across > _ACROSS[0]) & (across < _ACROSS[1]) & (below > _DOWN[0]) & (below < _DOWN[1])
    design = np.stack([across[within], below[within], np.ones(int(within.sum()))], axis=1)
    if len(design) <= design.shape[1]:
        return depth
    slope = float(np.linalg.lstsq(design, depth[within].astype(np.float64), rcond=None)[0][0]) / face.height_px
    excess = turned * (slope - 1.0 / float(np.tan(_STANDS_OFF_RAD + abs(yaw))))
    if excess <= 0.0:
        return depth
    width = _ACROSS[1] - _ACROSS[0]
    nearer = excess * width * face.height_px * np.clip((across - _ACROSS[0]) / width, 0.0, 1.0)
    nearer *= smooth_ramp(across, _ACROSS[1] + _BEYOND, _ACROSS[1])
    nearer *= smooth_ramp(below, _DOWN[0] - _FADES, _DOWN[0]) * smooth_ramp(below, _DOWN[1] + _FADES, _DOWN[1])
    return np.asarray(depth - nearer, np.float32)
