"""Putting an animated square back into its picture: a feathered mask and colours matched once, no solve per frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.geometry.crop import Box

    Picture = NDArray[np.uint8]
    Weights = NDArray[np.float32]

FEATHER = 0.14
"""Width of the soft edge, in parts of the box's shorter side."""
OVAL_GROWTH = 1.12
"""The face oval, grown by this about its centre, is taken from the animated square entirely."""
GAIN_LIMITS = (0.8, 1.25)
OFFSET_LIMIT = 24.0
"""Colours of a sane rendering differ by less; beyond that the match is a mistake and is held back."""
LEVELS = 256


def feather_mask(box: Box, picture_size_px: tuple[int, int], oval: NDArray[np.float32]) -> Weights:
    """Weights (h, w) in [0, 1] of the animated square in its box: 1 on the face, falling to 0 at the box's edges.

    picture_size_px: (width, height); an edge that is the picture's own edge needs no fading.
    oval: (N, 2) face oval in pixels of the picture; the mask follows it.
    """
    import cv2

    width = max(2.0, FEATHER * min(box.width, box.height))
    x, y = np.arange(box.width, dtype=np.float32), np.arange(box.height, dtype=np.float32)
    far = np.float32(1e6)
    left = x + 0.5 if box.left > 0 else np.full_like(x, far)
    right = box.width - x - 0.5 if box.right < picture_size_px[0] else np.full_like(x, far)
    top = y + 0.5 if box.top > 0 else np.full_like(y, far)
    bottom = box.height - y - 0.5 if box.bottom < picture_size_px[1] else np.full_like(y, far)
    edges = _smooth(np.minimum(left, right) / width)[None, :] * _smooth(np.minimum(top, bottom) / width)[:, None]
    grown = (oval - oval.mean(axis=0)) * OVAL_GROWTH + oval.mean(axis=0) - [box.left, box.top]
    face: Weights = np.zeros((box.height, box.width), np.float32)
    cv2.fillConvexPoly(face, cv2.convexHull(grown.astype(np.int32)), (1.0,))
    soft = cv2.GaussianBlur(face, (0, 0), width / 3, borderType=cv2.BORDER_REPLICATE)
    across, down = _smooth(np.minimum(left, right) * 4 / width), _smooth(np.minimum(top, bottom) * 4 / width)
    return np.asarray(np.maximum(edges, soft * across[None, :] * down[:, None]), dtype=np.float32)


def match_colours(rendered: Picture, original: Picture, weights: Weights) -> NDArray[np.uint8]:
    """Table (256, 1, 3) that gives a rendering the colours of the original it shows.

    rendered, original: (h, w, 3) of the same face at rest. Mean and spread per channel, weighted by ``weights``, are
    brought together; gain and offset are held within sane limits.
    """
    share = (weights / max(float(weights.sum()), 1e-6))[..., None]
    levels = np.arange(LEVELS, dtype=np.float64)
    columns = []
    means = [(part.astype(np.float64) * share).sum(axis=(0, 1)) for part in (rendered, original)]
    spreads = [
        np.sqrt((((part - mean) ** 2) * share).sum(axis=(0, 1)))
        for part, mean in zip((rendered, original), means, strict=True)
    ]
    for channel in range(3):
        gain = np.clip(spreads[1][channel] / max(spreads[0][channel], 1e-6), *GAIN_LIMITS)
        middle = float(means[0][channel])
        offset = np.clip(means[1][channel] - middle, -OFFSET_LIMIT, OFFSET_LIMIT)
        columns.append(np.clip(np.rint((levels - middle) * gain + middle + offset), 0, 255))
    return np.asarray(np.stack(columns, axis=-1)[:, None, :], dtype=np.uint8)


class Paster:
    """Pastes squares into one picture; everything that frames share is computed once."""

    def __init__(self, picture: Picture, box: Box, mask: Weights, colours: NDArray[np.uint8] | None = None) -> None:
        self.picture, self.box, self.colours = picture, box, colours
        self._new, self._old = mask, 1 - mask
        self._place = (slice(box.top, box.bottom), slice(box.left, box.right))
        self._under = np.ascontiguousarray(picture[self._place])

    def paste(self, square: Picture) -> Picture:
        """The picture (H, W, 3) with one square (S, S, 3), stretched to the box, in its place."""
        import cv2

        out = self.picture.copy()
        face = cv2.resize(square, (self.box.width, self.box.height), interpolation=cv2.INTER_LINEAR)
        if self.colours is not None:
            face = cv2.LUT(face, self.colours.reshape(1, LEVELS, 3))
        out[self._place] = cv2.blendLinear(face, self._under, self._new, self._old)
        return out


def paste_seamless(picture: Picture, box: Box, square: Picture) -> Picture:
    """The official way: a Poisson solve of the whole box per frame (Perez et al. 2003); slow, and it flickers."""
    import cv2

    face = cv2.resize(square, (box.width, box.height))
    centre = ((box.left + box.right) // 2, (box.top + box.bottom) // 2)
    mask = np.full(face.shape, 255, np.uint8)
    return np.asarray(cv2.seamlessClone(face, picture, mask, centre, cv2.NORMAL_CLONE), dtype=np.uint8)


def _smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 below 0, 1 above 1, a smooth step between."""
    t = np.clip(values, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)
