"""The square around a face that the SadTalker renderer animates (FFHQ-style box, Karras et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float32] | NDArray[np.float64]

EYES_FACTOR = 2.0
MOUTH_FACTOR = 1.8
CENTRE_SHIFT = 0.1
"""The centre lies this part of the way from between the eyes to the mouth."""
BORDER_FACTOR = 0.1
BORDER_MIN_PX = 3
SHRINK_SIZE_PX = 512
"""The official code shrinks pictures whose box is at least four times this."""


class Box(NamedTuple):
    """Pixel rectangle; right and bottom are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top


@dataclass(frozen=True)
class CropRules:
    """limit_by_picture_width: the official code clips the inner box's right and bottom by the picture's width,
        although its edges count from the crop's corner; otherwise the outer box limits it.
    shrink: the official code shrinks large pictures before it cuts; boxes then lie in the shrunk picture.
    """

    limit_by_picture_width: bool
    shrink: bool


OFFICIAL_RULES = CropRules(limit_by_picture_width=True, shrink=True)
FIXED_RULES = CropRules(limit_by_picture_width=False, shrink=False)


@dataclass(frozen=True)
class HeadCrop:
    """picture_px: size of the picture the boxes lie in (smaller than the original if it was shrunk).
    outer: face with border, clipped to the picture.
    inner_edges: left, top, right, bottom of the face box inside ``outer``, not rounded.
    """

    picture_px: tuple[int, int]
    outer: Box
    inner_edges: tuple[float, float, float, float]

    @property
    def inner(self) -> Box:
        """The face box in the picture, edges truncated."""
        left, top, right, bottom = (int(edge) for edge in self.inner_edges)
        x, y = self.outer.left, self.outer.top
        return Box(x + left, y + top, x + right, y + bottom)


class _Square(NamedTuple):
    centre: NDArray[np.float64]
    half_x: NDArray[np.float64]
    half_y: NDArray[np.float64]

    @property
    def side(self) -> float:
        return 2 * math.hypot(*self.half_x)

    @property
    def corners(self) -> NDArray[np.float64]:
        """(4, 2): top left, bottom left, bottom right, top right."""
        c, x, y = self
        return np.stack([c - x - y, c - x + y, c + x + y, c + x - y])


def face_square(landmarks68: Points) -> _Square:
    """The oriented square around eyes and mouth."""
    points = np.asarray(landmarks68, dtype=np.float64)
    eye_left, eye_right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    between = (eye_left + eye_right) * 0.5
    across = eye_right - eye_left
    down = (points[48] + points[54]) * 0.5 - between
    half_x = across - np.flipud(down) * [-1, 1]
    half_x /= math.hypot(*half_x)
    half_x *= max(math.hypot(*across) * EYES_FACTOR, math.hypot(*down) * MOUTH_FACTOR)
    return _Square(between + down * CENTRE_SHIFT, half_x, np.asarray(np.flipud(half_x) * [-1.0, 1.0]))


def crop_head(
    landmarks68: Points, width_px: int, height_px: int, rules: CropRules = FIXED_RULES
) -> HeadCrop:
    """The face crop for landmarks (68, 2) in pixels of a picture ``width_px`` x ``height_px``."""
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


def _outer_box(corners: NDArray[np.float64], side: float, size: tuple[int, int]) -> Box:
    border = max(int(np.rint(side * BORDER_FACTOR)), BORDER_MIN_PX)
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    return Box(
        max(int(low[0]) - border, 0),
        max(int(low[1]) - border, 0),
        min(int(high[0]) + border, size[0]),
        min(int(high[1]) + border, size[1]),
    )


def _inner_edges(corners: NDArray[np.float64], limit: tuple[int, int]) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.tolist()
    return (
        max(min(x0, x1), 0),
        max(min(y0, y3), 0),
        min(max(x2, x3), limit[0]),
        min(max(y1, y2), limit[1]),
    )
