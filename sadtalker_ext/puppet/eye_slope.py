"""Slope of a head's surface at the eyes: as gentle as that of the landmarks there.

Beside the eye of a turned face, the surface falls steeply to the cheek's edge. Smoothed, it would be steep at the eye
too, and the eye would be drawn out when the head turns back: a stretched iris is seen sooner than stretched skin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.profiles import smooth_ramp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.warp import Grid

_HALF_HEIGHT: Final = 0.5
"""Half the height of the box around an eye and its lids, in half widths of the eye."""
_WHOLE_WITHIN: Final = 0.02
_ENDS_AT: Final = 0.14
"""Distances outside that box, in face heights, up to which the slope is that of the landmarks, and at which the
surface is as before."""
_OUTLINES: Final = (
    (*topo.RIGHT_EYE_UPPER, *topo.RIGHT_EYE_LOWER[1:-1]),
    (*topo.LEFT_EYE_UPPER, *topo.LEFT_EYE_LOWER[1:-1]),
)


def limit_eye_slope(depth: Float32Array, mesh: Float64Array, face: FaceGeometry, grid: Grid) -> Float32Array:
    """Return ``depth`` (rows, columns) on the nodes of ``grid``, at the eyes no steeper than the mesh (478, 3)."""
    nodes = grid.nodes().astype(np.float64)
    eased = depth.astype(np.float64)
    for eye, outline in zip((face.right_eye, face.left_eye), _OUTLINES, strict=True):
        points = mesh[list(outline)]
        centre = points[:, :2].mean(axis=0)
        sampled = grid.sample(depth, points[None, :, :2].astype(np.float32))[0].astype(np.float64)
        own, now = (_plane(points[:, :2] - centre, values) for values in (points[:, 2], sampled))
        if np.hypot(*now[:2]) <= np.hypot(*own[:2]):
            continue
        t, v = eye.axes.local(nodes)
        sideways = np.maximum(np.abs(t) - eye.half_px, 0.0)
        outside = np.hypot(sideways, np.maximum(np.abs(v) - _HALF_HEIGHT * eye.half_px, 0.0)) / face.height_px
        plane = now[2] + (nodes - centre) @ own[:2]
        eased += smooth_ramp(outside, _ENDS_AT, _WHOLE_WITHIN) * (plane - depth)
    return eased.astype(np.float32)


def _plane(points: Float64Array, values: Float64Array) -> Float64Array:
    """Return slope (2) and height (1) of the plane of least squares through ``values`` (N,) at ``points`` (N, 2)."""
    design = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    return np.asarray(np.linalg.lstsq(design, values, rcond=None)[0], np.float64)
