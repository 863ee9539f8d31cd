"""Where a head that turns is held at the border of the picture: where the border cuts the person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.profiles import smooth_ramp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array

LEFT, RIGHT, UPPER, LOWER = range(4)
"""Indices of the borders of the picture."""
_BAND: Final = 0.9
"""Largest width of the band along the border of the picture in which a head that moves away is stretched, in face
heights; see :class:`~sadtalker_ext.puppet.head.Head`."""
_INTO_FOREHEAD: Final = 0.15
"""How far the band along the upper border may reach into the face, in face heights."""
_CUT_PERSON: Final = (0.15, 0.5)
_AROUND_CUT: Final = 0.3
"""Share of the person at the left or right border from which and at which it cuts the person, and the distance above
and below, in face heights, within which the head is held too."""


def border_hold(
    mesh: Float32Array, height_px: float, nodes: Float32Array, size_px: tuple[int, int], person: Float32Array | None
) -> tuple[Float32Array, tuple[float, ...]]:
    """Return the hold (rows, columns, 4) of a head at ``nodes`` (rows, columns, 2), and the widths of the bands, px.

    Both are in the order left, right, upper, lower; see :class:`~sadtalker_ext.puppet.head.Head`. mesh: (478, 3) of a
    face ``height_px`` tall in a picture of (width, height). person: (height, width), share of the person in [0, 1].
    """
    bands = _bands_px(mesh, height_px, size_px)
    x, y = nodes[..., 0], nodes[..., 1]
    distances = (x + 0.5, size_px[0] - 0.5 - x, y + 0.5, size_px[1] - 0.5 - y)
    hold = [smooth_ramp(distance, 0.0, band) for distance, band in zip(distances, bands, strict=True)]
    if person is not None:
        for side, at_border in ((LEFT, person[:, 0]), (RIGHT, person[:, -1])):
            hold[side] = 1.0 - (1.0 - hold[side]) * _held_rows(at_border, y[:, :1], height_px)
    return np.stack(hold, axis=-1).astype(np.float32), bands


def _held_rows(at_border: Float32Array, rows: Float32Array, unit: float) -> Float32Array:
    """Return where a border at the side cuts the person, 1 to 0: (N, 1) at ``rows`` (N, 1) of the picture.

    at_border: (H,), share of the person in the last column. Where that is background, nothing must be held: the
    background stays anyway, and an ear beside it would be stretched.
    """
    certain = smooth_ramp(at_border[:, None], *_CUT_PERSON).astype(np.float32)
    side = 2 * max(1, round(_AROUND_CUT * unit)) + 1
    around = cv2.dilate(certain, np.ones((side, 1), np.uint8), borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.GaussianBlur(around, (0, 0), _AROUND_CUT * unit / 2.0, borderType=cv2.BORDER_REPLICATE)
    places = np.zeros_like(rows), np.asarray(rows, np.float32)
    return np.asarray(cv2.remap(smooth, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _bands_px(mesh: Float32Array, height_px: float, size_px: tuple[int, int]) -> tuple[float, ...]:
    """Return the widths of the bands along the left, right, upper and lower border: up to the face, at least 1 px."""
    oval = mesh[list(topo.FACE_OVAL), :2]
    low, high = oval.min(axis=0) + 0.5, oval.max(axis=0) + 0.5
    rooms = (low[0], size_px[0] - high[0], low[1] + _INTO_FOREHEAD * height_px, size_px[1] - high[1])
    return tuple(max(1.0, min(_BAND * height_px, float(room))) for room in rooms)
