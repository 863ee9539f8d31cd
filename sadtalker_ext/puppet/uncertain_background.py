"""Wide parts of the background that segmentation takes for the person with little certainty.

They would move with a head that turns, and end in a step where the picture ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.backdrop import MASK_SET, fill_background, grow_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image, UInt8Array

_WORKING_HEIGHT_PX: Final = 64.0
"""Height of the face at which parts are searched; they are several pixels wide."""
_POSSIBLE: Final = 0.15
_CERTAIN: Final = 0.9
"""Share of the person from which a pixel may belong to it, and from which it does."""
_MARGIN: Final = 0.06
"""Distance from possible pixels in face heights from which the background is certain."""
_SAME_COLOUR: Final = 24.0
"""Largest difference in levels from the background around: a part of the person that was removed by mistake
would hardly be seen."""
_HALF_WIDTH: Final = 0.05
"""Half the least width of a part in face heights: edges of hair are narrower."""
_RIM: Final = 0.08
_RIM_BELOW: Final = 0.6
"""Width in face heights of the rim of a part that is removed as well, where the share of the person is below this."""
_INSIDE: Final = 127
"""Level of a resized mask above which a pixel is inside."""


def without_background(
    picture: Image, mask: UInt8Array, person: Float32Array, place: tuple[Float64Array, float]
) -> UInt8Array:
    """Return ``mask`` (H, W), 255 inside, without wide parts that are uncertain and look as the background around them.

    picture: (H, W, 3) RGB. person: (H, W) in [0, 1]. place: centre (2,) and height of the face in pixels; the part of
    the mask with the face remains.
    """
    centre, height_px = place
    scale = min(1.0, _WORKING_HEIGHT_PX / height_px)
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    small, share, inside = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (picture, person, mask))
    parts = _parts(np.asarray(small, np.uint8), np.asarray(share, np.float32), scale * height_px)
    if not parts.any():
        return mask
    rest = np.where((parts > 0) | (inside <= _INSIDE), 0, MASK_SET).astype(np.uint8)
    _, labels = cv2.connectedComponents(rest, connectivity=4)
    column, row = np.clip(np.rint(centre * scale).astype(int), 0, np.array(size) - 1)
    if rest[row, column] == 0:
        return mask
    lost = _binary((labels != labels[row, column]) & (inside > _INSIDE))
    whole = cv2.resize(lost, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(whole > _INSIDE, 0, mask).astype(np.uint8)


def _parts(small: Image, share: Float32Array, unit: float) -> UInt8Array:
    """Return the mask (h, w) of the parts in a reduced picture (h, w, 3) with a face ``unit`` pixels tall."""
    possible = share > _POSSIBLE
    around = grow_mask(_binary(possible), _MARGIN * unit)
    if around.all():
        return np.zeros_like(around)
    difference = np.abs(cv2.blur(small.astype(np.float32), (3, 3)) - fill_background(small, around)).max(axis=-1)
    alike = _binary(possible & (share < _CERTAIN) & (difference < _SAME_COLOUR))
    side = 2 * max(1, round(_HALF_WIDTH * unit)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    wide = np.asarray(cv2.morphologyEx(alike, cv2.MORPH_OPEN, kernel), np.uint8)
    if not wide.any():
        return np.zeros_like(around)
    rim = grow_mask(wide, _RIM * unit) & _binary(share < _RIM_BELOW)
    return np.asarray(wide | rim, np.uint8)


def _binary(inside: NDArray[np.bool_]) -> UInt8Array:
    return inside.astype(np.uint8) * np.uint8(MASK_SET)
