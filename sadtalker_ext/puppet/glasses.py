"""Rims of glasses around an eye, which stay where they are while the lids move beneath them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array

_RIM_WIDTH: Final = 0.6
"""Largest thickness of a rim, in half eye widths."""
_DARKER: Final = 0.18
_BLACK: Final = 0.3
"""How much darker than its surroundings a thin rim is, and how bright a thick one, relative to the skin."""
_BRIDGE_SHARE: Final = 0.08
"""Gaps in a rim, in half eye widths, that are closed: highlights."""
_SMALLEST_EYE_PX: Final = 6.0
"""Half width of an eye, in pixels, below which a rim is thinner than a pixel."""
_SMALLEST_LENS: Final = 1.5
_LARGEST_LENS: Final = 20.0
"""Area that a lens has, in squares of half eye widths; less is the eye's own outline, more is the face."""
_LARGEST_RIM: Final = 18.0
"""Area that a rim has at most, in squares of half eye widths; dark areas of wrinkles and shadows are larger."""
_SOFT_PX: Final = 0.8
"""Standard deviation of the mask's soft edge, in pixels."""
_GROW_SHARE: Final = 0.05
"""Growth of the mask beyond the dark pixels, in half eye widths: the rim's blurred edge and its shadow."""


def find_rims(levels: Float32Array, eye: NDArray[np.bool_], half_px: float) -> Float32Array | None:
    """Return how much each pixel (h, w) is a rim, 0 to 1, or None where no rim surrounds the eye.

    levels: (h, w, 3) RGB around the eye, far enough for its lens. eye: (h, w), where the eye with its lashes is.
    half_px: half the eye's width. The eye of a face without glasses is connected to the cheek by bright skin; that of a
    face with glasses is enclosed by a closed dark line.
    """
    if half_px < _SMALLEST_EYE_PX or not eye.any() or eye.all():
        return None
    grey = cv2.cvtColor(levels / np.float32(255.0), cv2.COLOR_RGB2GRAY)
    size = 2 * max(int(_RIM_WIDTH * half_px / 2.0), 1) + 1
    around = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    skin_level = float(np.median(grey[~eye]))
    dark = (((around - grey > _DARKER * skin_level) | (grey < _BLACK * skin_level)) & ~eye).astype(np.uint8)
    bridge = 2 * max(int(_BRIDGE_SHARE * half_px), 1) + 1
    closed = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((bridge, bridge), np.uint8))
    _, labels = cv2.connectedComponents((closed == 0).astype(np.uint8), connectivity=4)
    lens = labels == np.bincount(labels[eye]).argmax()
    border = np.concatenate([lens[0], lens[-1], lens[:, 0], lens[:, -1]])
    if border.any() or not _SMALLEST_LENS < lens.sum() / half_px**2 < _LARGEST_LENS:
        return None
    _, parts = cv2.connectedComponents(closed, connectivity=8)
    beside = cv2.dilate(lens.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rims = np.isin(parts, np.unique(parts[beside & (closed > 0)])) & (closed > 0)
    grow = 2 * max(int(_GROW_SHARE * half_px), 1) + 1
    mask = cv2.dilate(rims.astype(np.float32), np.ones((grow, grow), np.uint8))
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), _SOFT_PX), np.float32)
    return soft if soft.sum() < _LARGEST_RIM * half_px**2 else None
