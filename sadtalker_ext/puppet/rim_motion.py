"""Rims of glasses stay where they are while the brows behind and above them move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.expression_fields import FIELD_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.glasses import RimMask
    from sadtalker_ext.puppet.warp import Grid

_BROW_FIELDS: Final = [index for index, name in enumerate(FIELD_NAMES) if name.startswith("brows")]
_BELOW_BROWS: Final = 0.003
"""Distance below the lower edge of the brows, in face heights, from which on dark pixels are rims and not brows."""
_REACH: Final = 0.014
"""Distance around a rim at which nothing moves, in face heights."""
_FADE: Final = 0.012
"""Standard deviation of the transition beyond it, in face heights."""


def remove_brow_motion(fields: Float32Array) -> None:
    """Remove the motion of the brows from ``fields``: dark lenses cover them, or would be stretched with them."""
    fields[_BROW_FIELDS] = 0.0


def keep_rims_still(fields: Float32Array, grid: Grid, face: FaceGeometry, rims: Sequence[RimMask]) -> None:
    """Remove the motion of the brows from ``fields`` (J, 2 layers, rows, columns, 2) on ``grid`` where rims are."""
    nodes = grid.nodes().astype(np.float64)
    still = np.zeros(nodes.shape[:2], np.float32)
    pad = round(4.0 * (_REACH + _FADE) * face.height_px)
    size = 2 * max(round(_REACH * face.height_px), 1) + 1
    brow_t, brow_v = face.axes.local(face.brows)
    order = np.argsort(brow_t)
    for mask, (left, top) in rims:
        x, y = np.meshgrid(np.arange(mask.shape[1]) + left, np.arange(mask.shape[0]) + top)
        t, v = face.axes.local(np.stack([x, y], axis=-1).astype(np.float64))
        below = v - np.interp(t, brow_t[order], brow_v[order]) > _BELOW_BROWS * face.height_px
        rim = np.pad(np.where(below, mask, np.float32(0.0)).astype(np.float32), pad)
        wide = cv2.dilate(rim, np.ones((size, size), np.uint8))
        soft = cv2.GaussianBlur(wide, (0, 0), max(_FADE * face.height_px, 1.0))
        where = (nodes - [left - pad, top - pad]).astype(np.float32)
        still = np.maximum(still, cv2.remap(soft, where[..., 0], where[..., 1], cv2.INTER_LINEAR))
    for index in _BROW_FIELDS:
        fields[index] *= (1.0 - still)[..., None]
