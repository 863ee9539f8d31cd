"""The square crop around a face that the SadTalker renderer animates (FFHQ-style box, Karras et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

EYES_FACTOR = 2.0
"""Half the side of the square is at least this many eye distances."""
MOUTH_FACTOR = 1.8
"""Half the side of the square is at least this many eye-to-mouth distances."""
CENTRE_SHIFT = 0.1
"""Position of the centre on the line from the eyes (0) to the mouth (1)."""
BORDER_FACTOR = 0.1
"""Border around the square, as a fraction of its side."""
BORDER_MIN_PX = 3
SHRINK_SIZE_PX = 512
"""The official code shrinks pictures whose square is at least four times this size."""


class Box(NamedTuple):
    """A pixel rectangle; ``right`` and ``bottom`` are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top


@dataclass(frozen=True)
class CropRules:
    """Variants of the crop.

    limit_by_picture_width: clip the right and bottom edges of the inner box to the picture width, as the official code
        does although these edges are relative to the crop; if False, clip them to the outer box.
    shrink: shrink large pictures before cropping, as the official code does; boxes then refer to the shrunk picture.
    """

    limit_by_picture_width: bool
    shrink: bool


OFFICIAL_RULES = CropRules(limit_by_picture_width=True, shrink=True)
FIXED_RULES = CropRules(limit_by_picture_width=False, shrink=False)


@dataclass(frozen=True)
class HeadCrop:
    """The crop of one face.

    picture_px: (width, height) of the picture that the boxes refer to; smaller than the original if it was shrunk.
    outer: the face square with its border, clipped to the picture.
    inner_edges: left, top, right and bottom of the face square relative to ``outer``, in pixels, not rounded.
    """

    picture_px: tuple[int, int]
    outer: Box
    inner_edges: tuple[float, float, float, float]

    @property
    def inner(self) -> Box:
        """Face square in picture coordinates, edges truncated to whole pixels."""
        left, top, right, bottom = (int(edge) for edge in self.inner_edges)
        x, y = self.outer.left, self.outer.top
        return Box(x + left, y + top, x + right, y + bottom)


class OrientedSquare(NamedTuple):
    """A rotated square: its centre (2,) and the vector (2,) from the centre to the middle of its right edge."""

    centre: Float64Array
    half_x: Float64Array

    @property
    def side(self) -> float:
        """Side length in pixels."""
        return 2 * math.hypot(*self.half_x)

    @property
    def corners(self) -> Float64Array:
        """Corners (4, 2): top left, bottom left, bottom right, top right."""
        c, x = self
        y = np.asarray(np.flipud(x) * [-1.0, 1.0])
        return np.stack([c - x - y, c - x + y, c + x + y, c + x - y])


def face_square(landmarks68: Float32Array | Float64Array) -> OrientedSquare:
    """Return the rotated square around eyes and mouth for landmarks (68, 2) in pixels."""
    points = np.asarray(landmarks68, dtype=np.float64)
    eye_left, eye_right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    between_eyes = (eye_left + eye_right) * 0.5
    eye_to_eye = eye_right - eye_left
    eye_to_mouth = (points[48] + points[54]) * 0.5 - between_eyes
    half_x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    half_x /= math.hypot(*half_x)
    half_x *= max(math.hypot(*eye_to_eye) * EYES_FACTOR, math.hypot(*eye_to_mouth) * MOUTH_FACTOR)
    return OrientedSquare(between_eyes + eye_to_mouth * CENTRE_SHIFT, half_x)


def crop_head(
    landmarks68: Float32Array | Float64Array, width_px: int, height_px: int, rules: CropRules = FIXED_RULES
) -> HeadCrop:
    """Return the face crop for landmarks (68, 2) in pixels of a picture of ``width_px`` x ``height_px``."""
    square = face_square(landmarks68)
    corners, side = square.corners, square.side
    size = (width_px, height_px)
    shrink = math.floor(side / SHRINK_SIZE_PX * 0.5)
    if rules.shrink and shrink > 1:
        size = (int(np.rint(width_px / shrink)), int(np.rint(height_px / shrink)))
        corners, side = corners / shrink, side / shrink
    outer = _outer_box(corners, side, size)
    limit = (size[0], size[0]) if rules.limit_by_picture_width else (outer.width, outer.height)
    return HeadCrop(size, outer, _inner_edges(corners - [outer.left, outer.top] + 0.5, limit))


def _outer_box(corners: Float64Array, side: float, size: tuple[int, int]) -> Box:
    border = max(int(np.rint(side * BORDER_FACTOR)), BORDER_MIN_PX)
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    return Box(
        max(int(low[0]) - border, 0),
        max(int(low[1]) - border, 0),
        min(int(high[0]) + border, size[0]),
        min(int(high[1]) + border, size[1]),
    )


def _inner_edges(corners: Float64Array, limit: tuple[int, int]) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.tolist()
    return (
        max(min(x0, x1), 0),
        max(min(y0, y3), 0),
        min(max(x2, x3), limit[0]),
        min(max(y1, y2), limit[1]),
    )
