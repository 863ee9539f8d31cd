"""What lies beside a face on its far side: ears and short hair disappear behind the cheek when the head turns.

The surface of a head is one sheet, and what it hides is squeezed to a strip. Where nothing is seen beyond that strip,
it would be a dark line along the cheek, so that it becomes transparent there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.profiles import smooth_ramp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.warp import Window

_BEHIND_FACE: Final = 0.2
"""Depth of ears and of the hair above them behind the back of the face, in face heights."""
_BACK_PERCENTILE: Final = 90
"""Percentile of the oval's depth that counts as the back of the face; the largest value may be an outlier."""
_BESIDE: Final = (1.0, 1.15)
"""Distances from the middle of the face, in half widths of its oval on that side, between which the depth falls."""
_JAW: Final = 0.6
"""Level of the lower end of the outline of the face below its middle, in face heights: the jaw is narrower."""
_BELOW: Final = (-0.45, -0.15)
"""Levels below the middle of the oval, in face heights, from which and at which the depth is that of an ear. Above,
hair covers the front of the head too."""
_SMOOTHING_CELLS: Final = 1.0
_ROWS: Final = (-0.75, 0.8)
"""Levels below the middle of the oval, in face heights, between which parts may disappear."""
_HIDDEN: Final = 0.07
"""Distance behind the edge of the cheek, in face heights, at which a part has disappeared: two to three cells."""
_PERSON: Final = (0.3, 0.7)
"""Share of the person from which and at which a part is seen where nothing hides it."""
_BESIDE_JAW: Final = (0.0, 0.25)
_HAIR_ENDS: Final = (0.5, 1.0)
"""Levels below the middle of the oval, in face heights, beside which nothing may be seen, and the least share hidden
there from which and at which parts disappear: long hair, which hangs down beside the jaw, stays whole."""
_BLUR_CELLS: Final = (3, 3)


@dataclass(frozen=True)
class FarOutline:
    """Nodes of a head beside its face. Rows and columns are those of the picture.

    extra: (rows, columns) pixels, how much deeper a node is if its side is the far one. across: (rows, columns), to the
    right of the middle of the face if positive. person: (rows, columns), share of the person in [0, 1]. rows: where
    parts may disappear. beside_jaw: which of these rows are beside the jaw. height_px: height of the face.
    """

    extra: Float32Array
    across: Float32Array
    person: Float32Array
    rows: slice
    beside_jaw: slice
    height_px: float

    @property
    def window(self) -> Window:
        """The nodes that may disappear."""
        return self.rows, slice(None)

    def deeper(self, front: float) -> Float32Array:
        """Return how much deeper (rows, columns) the nodes are, in pixels, if the front moves right by ``front``."""
        return np.where(self.across * np.float32(front) > 0.0, self.extra * np.float32(front**2), np.float32(0.0))

    def seen(self, moved: Float64Array, sign: int) -> Float32Array:
        """Return which share of each node (rows, columns) is seen.

        moved: where the nodes of the window are, x in pixels, after a turn of the head without its roll. sign: 1 if the
        front moves right, -1 if left.
        """
        place = (sign * moved)[:, ::sign]
        hidden = smooth_ramp(np.maximum.accumulate(place, axis=1) - place, 0.0, _HIDDEN * self.height_px)
        nothing = np.maximum(hidden, smooth_ramp(self.person[self.window][:, ::sign], *_PERSON[::-1]))
        beyond = np.minimum.accumulate(nothing[:, ::-1], axis=1)[:, ::-1]
        gone = np.minimum(hidden, beyond)[:, ::sign]
        ends = smooth_ramp(gone.max(axis=1)[self.beside_jaw].min(), *_HAIR_ENDS)
        share = np.ones(self.extra.shape, np.float32)
        share[self.window] -= (ends * gone).astype(np.float32)
        return np.asarray(cv2.blur(share, _BLUR_CELLS), np.float32)


def build_far_outline(
    mesh: Float64Array, face: FaceGeometry, nodes: Float32Array, depth: Float32Array, person: Float32Array
) -> FarOutline | None:
    """Return what is beside the face with the mesh (478, 3) in pixels, or None where the picture has too little of it.

    nodes: (rows, columns, 2) pixels. depth: (rows, columns) pixels, surface of the head. person: (rows, columns).
    """
    oval, unit = mesh[list(topo.FACE_OVAL)], face.height_px
    centre = oval[:, :2].mean(axis=0)
    along, down = (np.asarray(axis, np.float64) for axis in (face.axes.along, face.axes.down))
    sides = (oval[:, :2] - centre) @ along
    across = (nodes - centre) @ along
    below = (nodes - centre) @ down / unit
    beside = across / np.where(across > 0.0, sides.max(), sides.min())
    share = smooth_ramp(np.hypot(beside, np.maximum(below, 0.0) / _JAW), *_BESIDE) * smooth_ramp(below, *_BELOW)
    ears = float(np.percentile(oval[:, 2], _BACK_PERCENTILE)) + _BEHIND_FACE * unit
    extra = cv2.GaussianBlur(share * np.maximum(ears - depth, 0.0), (0, 0), _SMOOTHING_CELLS)
    level = (nodes[:, 0, 1] - centre[1]) / unit
    rows, beside_jaw = (slice(*np.searchsorted(level, limits).tolist()) for limits in (_ROWS, _BESIDE_JAW))
    if beside_jaw.start == beside_jaw.stop:
        return None
    in_rows = slice(beside_jaw.start - rows.start, beside_jaw.stop - rows.start)
    return FarOutline(extra.astype(np.float32), across.astype(np.float32), person, rows, in_rows, unit)
