"""Pasting of animated squares into their picture, with a feathered mask and matched colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.arrays import smoothstep

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Image, UInt8Array
    from sadtalker_ext.geometry.crop import Box

FEATHER = 0.14
"""Width of the soft edge, as a fraction of the shorter side of the box."""
OVAL_GROWTH = 1.12
"""The animated square replaces the face oval, scaled by this factor about its centre."""
OVAL_RISE_FEATHERS = 0.25
"""The face oval fades at the edges of the box within this fraction of the soft edge."""
BLURS_PER_FEATHER = 3
"""The soft edge of the oval is a Gaussian blur whose standard deviation is the feather width over this number."""
GAIN_LIMITS = (0.8, 1.25)
OFFSET_LIMIT = 24.0
"""Limits of the colour correction, the offset in levels of 255: a good rendering differs by less."""
MOVED_LEVELS = 20.0
MOVED_BLUR_PX = 5
"""A pixel whose surroundings of this side differ by more levels after a first match shows something that moved."""
LEVELS = 256
WEIGHT_BITS = 8
"""Binary digits of the weights: sums of weighted pixels fit into 16 bits, four times as fast as floats."""


def feather_mask(box: Box, picture_size_px: tuple[int, int], oval: Float32Array) -> Float32Array:
    """Return weights (h, w) in [0, 1] of the animated square in its box: 1 on the face, 0 at the edges of the box.

    picture_size_px: (width, height); edges of the box that are edges of the picture do not fade.
    oval: (N, 2) face oval in pixels of the picture.
    """
    import cv2

    width = max(2.0, FEATHER * min(box.width, box.height))
    across = _edge_distance(box.width, fade_start=box.left > 0, fade_end=box.right < picture_size_px[0])
    down = _edge_distance(box.height, fade_start=box.top > 0, fade_end=box.bottom < picture_size_px[1])
    edges = smoothstep(across / width)[None, :] * smoothstep(down / width)[:, None]
    grown = (oval - oval.mean(axis=0)) * OVAL_GROWTH + oval.mean(axis=0) - [box.left, box.top]
    face: Float32Array = np.zeros((box.height, box.width), np.float32)
    cv2.fillConvexPoly(face, cv2.convexHull(grown.astype(np.int32)), (1.0,))
    soft = cv2.GaussianBlur(face, (0, 0), width / BLURS_PER_FEATHER, borderType=cv2.BORDER_REPLICATE)
    rise_x, rise_y = (smoothstep(distance / OVAL_RISE_FEATHERS / width) for distance in (across, down))
    return np.asarray(np.maximum(edges, soft * rise_x[None, :] * rise_y[:, None]), dtype=np.float32)


def _edge_distance(length: int, *, fade_start: bool, fade_end: bool) -> Float32Array:
    """Return the distance (length,) of pixel centres to the nearest edge that fades, in pixels."""
    position = np.arange(length, dtype=np.float32)
    unlimited = np.full_like(position, np.float32(1e6))
    from_start = position + 0.5 if fade_start else unlimited
    to_end = length - position - 0.5 if fade_end else unlimited
    return np.asarray(np.minimum(from_start, to_end), np.float32)


def match_colours(rendered: Image, original: Image, weights: Float32Array) -> UInt8Array:
    """Return a lookup table (256, 1, 3) that maps the colours of a rendering to those of the original.

    rendered, original: (h, w, 3), the same face at rest. The table matches mean and standard deviation per channel,
    weighted by ``weights`` (h, w), with limited gain and offset.
    """
    weights = (weights / max(float(weights.sum()), 1e-6))[..., None]
    levels = np.arange(LEVELS, dtype=np.float64)
    columns = []
    means = [(part.astype(np.float64) * weights).sum(axis=(0, 1)) for part in (rendered, original)]
    deviations = [
        np.sqrt((((part - mean) ** 2) * weights).sum(axis=(0, 1)))
        for part, mean in zip((rendered, original), means, strict=True)
    ]
    for channel in range(3):
        gain = np.clip(deviations[1][channel] / max(deviations[0][channel], 1e-6), *GAIN_LIMITS)
        mean = float(means[0][channel])
        offset = np.clip(means[1][channel] - mean, -OFFSET_LIMIT, OFFSET_LIMIT)
        columns.append(np.clip(np.rint((levels - mean) * gain + mean + offset), 0, 255))
    return np.asarray(np.stack(columns, axis=-1)[:, None, :], dtype=np.uint8)


def match_moved_colours(rendered: UInt8Array, original: UInt8Array, weights: Float32Array) -> UInt8Array:
    """Return the lookup table of :func:`match_colours` for a face that speaks, blinks or has turned a little.

    Pixels that differ after a first match, such as an open mouth, are left out of a second one.
    """
    import cv2

    first = match_colours(rendered, original, weights).reshape(1, LEVELS, 3)
    differences = cv2.absdiff(cv2.LUT(rendered, first), original).max(axis=-1)
    same = cv2.blur(differences, (MOVED_BLUR_PX, MOVED_BLUR_PX)) < MOVED_LEVELS
    return match_colours(rendered, original, weights * same)


class Paster:
    """Pastes animated squares into one picture; work that is the same for all frames is done once.

    picture: (H, W, 3). box: where the square goes. mask: (h, w), see :func:`feather_mask`.

    Own code: integers take 0.8 ms for a box of 500 x 520 pixels on one core, the same with kornia 6.4 ms (measured
    with kornia 0.6.7; results agree within 1.5 levels, see tests/geometry/test_paste.py).
    """

    def __init__(self, picture: Image, box: Box, mask: Float32Array) -> None:
        self.picture, self.box = picture, box
        self._place = (slice(box.top, box.bottom), slice(box.left, box.right))
        weights = np.rint(mask * (1 << WEIGHT_BITS)).astype(np.uint16)
        self._weights = np.repeat(weights[..., None], 3, axis=2)
        rest = (1 << WEIGHT_BITS) - self._weights
        self._under = picture[self._place] * rest + np.uint16(1 << WEIGHT_BITS - 1)  # the half rounds the sum

    def paste(self, square: Image, colours: UInt8Array | None = None) -> Image:
        """Return the picture (H, W, 3) with the square (S, S, 3), resized to the box, blended in.

        colours: (256, 1, 3), see :func:`match_colours`; None keeps the colours of the square.
        """
        import cv2

        out = self.picture.copy()
        enlarged = square.shape[0] * square.shape[1] < self.box.width * self.box.height
        face = _recoloured(square, colours) if enlarged else square
        face = np.asarray(cv2.resize(face, (self.box.width, self.box.height), interpolation=cv2.INTER_LINEAR))
        if not enlarged:
            face = _recoloured(face, colours)
        blended = np.multiply(face, self._weights, dtype=np.uint16)
        blended += self._under
        blended >>= WEIGHT_BITS
        np.copyto(out[self._place], blended, casting="unsafe")  # at most 255
        return out


def _recoloured(face: Image, colours: UInt8Array | None) -> Image:
    import cv2

    return face if colours is None else np.asarray(cv2.LUT(face, colours.reshape(1, LEVELS, 3)), dtype=np.uint8)


def paste_seamless(picture: Image, box: Box, square: Image) -> Image:
    """Paste like the official code: solve a Poisson equation over the box (Perez et al. 2003).

    Slow, and the result flickers from frame to frame.
    """
    import cv2

    face = cv2.resize(square, (box.width, box.height))
    centre = ((box.left + box.right) // 2, (box.top + box.bottom) // 2)
    mask = np.full(face.shape, 255, np.uint8)
    return np.asarray(cv2.seamlessClone(face, picture, mask, centre, cv2.NORMAL_CLONE), dtype=np.uint8)
