"""Foreground and background: a soft matte that moves with the head, and a background filled in behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.puppet import topology as topo

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Image, UInt8Array

_FOREGROUND_FROM: Final = 0.4
"""Segmentation values above this are foreground; below 0.5, so that uncertain edges such as hair are included."""
_MASK_GROWTH: Final = 0.03
"""Growth of the mask in face heights, so that hair edges are inside."""
_MATTE_WIDTH: Final = 0.06
"""Width of the matte's soft border outside the mask, in face heights."""
_MIN_MATTE_WIDTH_PX: Final = 2.0
MASK_SET: Final = 255
"""Value of a mask's pixels that are inside."""
_DISTANCE_MASK_SIZE: Final = 3
"""Size of the mask of OpenCV's distance transform; 3 is the fastest and accurate enough for a soft border."""
_LABEL_MASK_SIZE: Final = 5
"""The same where the nearest pixel itself is needed; OpenCV labels pixels with 5 only."""
_COARSEST_PX: Final = 2
"""The pyramid ends when its shorter side is at most this."""
_PULL_GAIN: Final = 4.0
"""Weights grow by this from level to level up to 1: a pixel counts in full when a quarter of its support is known."""
_MIN_WEIGHT: Final = 1e-4
"""Pixels with less weight than this count as unknown."""
_DETAIL_BLUR: Final = 0.05
"""Radius in face heights of the box blur that separates details from colour."""
_STREAK_BLUR: Final = 0.05
"""Radius in face heights in which the places that are mirrored are averaged: each notch of an outline would begin a
streak."""
_MIRRORED: Final = cv2.BORDER_REFLECT_101
_LARGEST_DETAILED_PX: Final = 2600
"""Larger pictures get no details, which would take 70 bytes a pixel."""
_LARGEST_DETAIL: Final = 9.0
"""Largest level of a mirrored detail: grain and brush strokes are continued, edges are not."""


def person_mask(
    person: Float32Array, mesh: Float32Array, height_px: float, foreground_from: float = _FOREGROUND_FROM
) -> UInt8Array:
    """Return the mask (H, W) of the person with the face ``mesh``, 255 inside, slightly grown.

    person: (H, W) segmentation of all people in [0, 1]. mesh: (478, 3) pixels. height_px: height of the face.
    foreground_from: values of ``person`` above this are foreground.
    """
    mask = (person > foreground_from).astype(np.uint8)
    hull = cv2.convexHull(np.round(mesh[list(topo.FACE_OVAL), :2]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, (1,))
    _, labels = cv2.connectedComponents(mask, connectivity=4)
    centre = np.round(mesh[list(topo.FACE_OVAL), :2].mean(0)).astype(int)
    row = int(np.clip(centre[1], 0, mask.shape[0] - 1))
    column = int(np.clip(centre[0], 0, mask.shape[1] - 1))
    own = (labels == labels[row, column]).astype(np.uint8) * MASK_SET
    return grow_mask(own, _MASK_GROWTH * height_px)


def grow_mask(mask: UInt8Array, radius_px: float) -> UInt8Array:
    """Return the mask (H, W) grown by ``radius_px`` on all sides."""
    size = 2 * max(1, round(radius_px)) + 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))  # type: ignore[return-value]


def close_gaps(mask: UInt8Array, radius_px: float) -> UInt8Array:
    """Return the mask (H, W) with bays and holes filled that are narrower than twice ``radius_px``."""
    size = 2 * max(1, round(radius_px)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)  # type: ignore[return-value]


def soft_matte(mask: UInt8Array, height_px: float) -> Float32Array:
    """Return the matte (H, W) float32: 1 on ``mask`` (H, W), falling to 0 within 0.06 face heights outside it."""
    outside = cv2.distanceTransform(cv2.bitwise_not(mask), cv2.DIST_L2, _DISTANCE_MASK_SIZE)
    position = 1.0 - outside / max(_MATTE_WIDTH * height_px, _MIN_MATTE_WIDTH_PX)
    return smoothstep(np.asarray(position, np.float32))


def fill_background(picture: Image, mask: UInt8Array) -> Image:
    """Return the picture with everything under ``mask`` replaced by its surroundings, by pull-push interpolation.

    Source: Gortler et al., The Lumigraph (1996), section 3.4.
    """
    weight = (mask == 0).astype(np.float32)
    colour = picture.astype(np.float32) * weight[..., None]
    pyramid = [(colour, weight)]
    while min(pyramid[-1][1].shape) > _COARSEST_PX and float(pyramid[-1][1].min()) < 1.0:
        blurred, share = cv2.pyrDown(pyramid[-1][0]), cv2.pyrDown(pyramid[-1][1])
        gain = np.minimum(share * _PULL_GAIN, 1.0) / np.maximum(share, _MIN_WEIGHT)
        scale = np.where(share > _MIN_WEIGHT, gain, 0.0)
        pyramid.append(((blurred * scale[..., None]).astype(np.float32), (share * scale).astype(np.float32)))
    filled = pyramid[-1][0] / np.maximum(pyramid[-1][1], _MIN_WEIGHT)[..., None]
    for colour, weight in reversed(pyramid[:-1]):
        coarse = cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        filled = colour + coarse * (1.0 - weight)[..., None]
    whole: Image = np.clip(np.rint(filled), 0, 255).astype(np.uint8)
    return whole


def fill_textured(picture: Image, mask: UInt8Array, height_px: float) -> Image:
    """Return what :func:`fill_background` does, with the fine details of the surroundings mirrored into the mask.

    Without them a large filled area looks smeared in a picture with grain. height_px: height of the face.
    """
    smooth = fill_background(picture, mask)
    if not (mask == 0).any() or max(mask.shape) > _LARGEST_DETAILED_PX:
        return smooth
    _, labels = cv2.distanceTransformWithLabels(mask, cv2.DIST_L2, _LABEL_MASK_SIZE, labelType=cv2.DIST_LABEL_PIXEL)
    known = np.flatnonzero(mask.ravel() == 0)
    of_label = np.zeros(int(labels.max()) + 1, np.int64)
    of_label[labels.ravel()[known]] = known
    nearest_row, nearest_column = np.divmod(of_label[labels], mask.shape[1])
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    away = np.stack([nearest_column - columns, nearest_row - rows], axis=-1).astype(np.float32)
    x, y = cv2.split(2.0 * _smoothed(away, _STREAK_BLUR * height_px))
    x, y = x + columns.astype(np.float32), y + rows.astype(np.float32)
    grain = cv2.remap(_grain(picture, mask, _DETAIL_BLUR * height_px), x, y, cv2.INTER_LINEAR, borderMode=_MIRRORED)
    filled = np.clip(np.rint(smooth + grain), 0, MASK_SET).astype(np.uint8)
    return np.where(mask[..., None] > 0, filled, picture)


def _grain(picture: Image, mask: UInt8Array, radius_px: float) -> Float32Array:
    """Return the details (H, W, 3) of a picture in levels, 0 under the mask: differences from the mean around them."""
    known = (mask == 0).astype(np.float32)
    side = 2 * max(1, round(radius_px)) + 1
    total, count = (cv2.blur(values, (side, side)) for values in (picture * known[..., None], known))
    detail = (picture - total / np.maximum(count, _MIN_WEIGHT)[..., None]) * known[..., None]
    return np.asarray(np.clip(detail, -_LARGEST_DETAIL, _LARGEST_DETAIL), np.float32)


def _smoothed(values: Float32Array, radius_px: float) -> Float32Array:
    """Return values (H, W, C) blurred twice by a box."""
    side = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.blur(cv2.blur(values, (side, side)), (side, side)), np.float32)
