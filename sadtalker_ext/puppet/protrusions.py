"""Parts that move with a head but stand out of the mask of the person: rims of helmets and hats, earrings, hair tips.

Segmentation misses thin and unusual things. What it misses would stay behind as a still copy when the head moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.backdrop import MASK_SET, close_gaps, fill_background, grow_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Image, UInt8Array

_WORKING_HEIGHT_PX: Final = 128.0
"""Height of the face at which parts are searched: thin rims are a pixel or two wide."""
_REACH: Final = 0.22
"""How far parts may stand out of the mask, in face heights."""
_DETAIL_BLUR: Final = 0.06
"""Radius in face heights of the box blur that separates details from colour."""
_LEAST_COLOUR: Final = 20.0
_LEAST_DETAIL: Final = 10.0
"""Smallest difference from the colour and the detail of the background, in levels, that belongs to a part."""
_IN_DETAILS: Final = 3.0
"""How many times the detail of the background a difference must exceed in addition: nothing is found in foliage."""
_GAP: Final = 0.01
"""Half the width in face heights of gaps between a part and the mask, or within a part, such as its highlights."""
_INSIDE: Final = 127
"""Level of a resized mask above which a pixel is inside."""
_DISTANCE_MASK_SIZE: Final = 5
"""Size of the mask of OpenCV's distance transform."""


def add_protrusions(picture: Image, mask: UInt8Array, height_px: float) -> UInt8Array:
    """Return ``mask`` (H, W), 255 inside, with what adjoins it and differs from the background around it.

    picture: (H, W, 3) RGB. height_px: height of the face. Things that go on beyond the reach, such as the frame of a
    window behind the person, belong to the background where they are nearer to it than to the person.
    """
    scale = min(1.0, _WORKING_HEIGHT_PX / height_px)
    unit = scale * height_px
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    person = _binary(cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > _INSIDE)
    reach = grow_mask(person, _REACH * unit)
    if reach.all() or not person.any():
        return mask
    different = _binary(_differs(small, person, reach, unit) & (reach > 0)) | person
    joined = close_gaps(different, _GAP * unit) & reach
    parts = _nearer_to(person, _joining(joined, person), reach)
    whole = cv2.resize(grow_mask(parts, 1.0), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.maximum(mask, _binary(whole > _INSIDE))


def _binary(inside: NDArray[np.bool_]) -> UInt8Array:
    return inside.astype(np.uint8) * np.uint8(MASK_SET)


def _differs(small: Image, person: UInt8Array, reach: UInt8Array, unit: float) -> NDArray[np.bool_]:
    """Return where colour or detail (h, w) are not those of the background outside ``reach``."""
    side = 2 * max(1, round(_DETAIL_BLUR * unit)) + 1
    levels = fill_background(small, person).astype(np.float32)
    detail = np.asarray(np.abs(levels - cv2.blur(levels, (side, side))).max(axis=-1), np.float32)
    usual = _continued(detail, reach)
    colour = np.abs(small.astype(np.float32) - fill_background(small, reach)).max(axis=-1)
    in_colour, in_detail = colour > _LEAST_COLOUR + _IN_DETAILS * usual, detail > _LEAST_DETAIL + _IN_DETAILS * usual
    return np.asarray(in_colour | in_detail, bool)


def _continued(values: Float32Array, mask: UInt8Array) -> Float32Array:
    """Return values (h, w) of levels, those under ``mask`` replaced by their surroundings."""
    levels = np.rint(values).astype(np.uint8)
    return fill_background(np.repeat(levels[..., None], 3, axis=-1), mask)[..., 0].astype(np.float32)


def _joining(mask: UInt8Array, person: UInt8Array) -> UInt8Array:
    """Return the connected parts of ``mask`` (h, w) that touch ``person`` (h, w)."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    touching = np.zeros(count, bool)
    touching[np.unique(labels[person > 0])] = True
    return _binary(touching[labels] & (mask > 0))


def _nearer_to(person: UInt8Array, parts: UInt8Array, reach: UInt8Array) -> UInt8Array:
    """Return ``parts`` (h, w) without what is nearer to where they leave ``reach`` than to ``person``."""
    border = (reach > 0) & (cv2.erode(reach, np.ones((3, 3), np.uint8)) == 0)
    leaving = border & (parts > 0)
    if not leaving.any():
        return parts
    inwards = cv2.distanceTransform(cv2.bitwise_not(person), cv2.DIST_L2, _DISTANCE_MASK_SIZE)
    outwards = cv2.distanceTransform(_binary(~leaving), cv2.DIST_L2, _DISTANCE_MASK_SIZE)
    return _joining(parts & _binary(inwards <= outwards), person)
