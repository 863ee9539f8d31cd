"""What stands behind the person: a soft matte that moves with the head, and a filled-in background that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array32 = NDArray[np.float32]
    Picture = NDArray[np.uint8]


def person_mask(person: Array32, mesh: Array32, height_px: float) -> NDArray[np.uint8]:
    """The person the face belongs to: (H, W) uint8, 255 inside, slightly grown so that hair edges are inside."""
    mask = (person > 0.4).astype(np.uint8)
    hull = cv2.convexHull(np.round(mesh[list(topo.FACE_OVAL), :2]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, (1,))
    _, labels = cv2.connectedComponents(mask, connectivity=4)
    centre = np.round(mesh[list(topo.FACE_OVAL), :2].mean(0)).astype(int)
    row = int(np.clip(centre[1], 0, mask.shape[0] - 1))
    column = int(np.clip(centre[0], 0, mask.shape[1] - 1))
    own = (labels == labels[row, column]).astype(np.uint8) * 255
    return _grow(own, 0.03 * height_px)


def _grow(mask: NDArray[np.uint8], radius_px: float) -> NDArray[np.uint8]:
    size = 2 * max(1, round(radius_px)) + 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))  # type: ignore[return-value]


def soft_matte(mask: NDArray[np.uint8], height_px: float) -> Array32:
    """1 on the grown mask, falling to 0 within 0.06 face heights outside it: (H, W) float32."""
    outside = cv2.distanceTransform(cv2.bitwise_not(mask), cv2.DIST_L2, 3)
    position = np.clip(1.0 - outside / max(0.06 * height_px, 2.0), 0.0, 1.0)
    matte: Array32 = (position * position * (3.0 - 2.0 * position)).astype(np.float32)
    return matte


def fill_background(picture: Picture, mask: NDArray[np.uint8]) -> Picture:
    """The picture with everything under ``mask`` replaced by its surroundings, by pull-push interpolation.

    Source: Gortler et al., The Lumigraph (1996), section 3.4.
    """
    weight = (mask == 0).astype(np.float32)
    colour = picture.astype(np.float32) * weight[..., None]
    pyramid = [(colour, weight)]
    while min(pyramid[-1][1].shape) > 2 and float(pyramid[-1][1].min()) < 1.0:
        blurred, share = cv2.pyrDown(pyramid[-1][0]), cv2.pyrDown(pyramid[-1][1])
        scale = np.where(share > 1e-4, np.minimum(share * 4.0, 1.0) / np.maximum(share, 1e-4), 0.0)
        pyramid.append(((blurred * scale[..., None]).astype(np.float32), (share * scale).astype(np.float32)))
    filled = pyramid[-1][0] / np.maximum(pyramid[-1][1], 1e-4)[..., None]
    for colour, weight in reversed(pyramid[:-1]):
        coarse = cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        filled = colour + coarse * (1.0 - weight)[..., None]
    whole: Picture = np.clip(np.rint(filled), 0, 255).astype(np.uint8)
    return whole
