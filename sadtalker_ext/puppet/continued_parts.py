"""Parts of a person that go on far beyond the mask, such as wide brims, found by their colour at its edge.

Segmentation cuts off the ends of wide hats. Such an end has the colour of what it continues inside the mask, and
another colour than what is around it. Things behind a person begin at the edge of the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.backdrop import MASK_SET, close_gaps, grow_mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image, UInt8Array
    from sadtalker_ext.puppet.warp import Window

_WORKING_HEIGHT_PX: Final = 64.0
"""Height of the face at which parts are searched; they are several pixels wide."""
_MEDIAN_PX: Final = 3
"""Size of the median filter that removes grain from the reduced picture."""
_REACH: Final = 0.6
_ENDS_WITHIN: Final = 0.54
"""How far parts are searched outside the mask, and where they must have ended, in face heights."""
_AREA: Final = (0.004, 0.14)
"""Smallest and largest area of a part in squares of the face height; half of a wide brim has 0.05."""
_CONTACT: Final = (0.04, 0.5)
"""Shortest and longest edge that a part shares with the mask, in face heights: backgrounds share more."""
_SAME_COLOUR: Final = 20
"""Largest difference in levels from the colour of its first pixel within a part."""
_LEAST_CONTRAST: Final = 25.0
"""Smallest median difference in levels between a part and what is around it."""
_SAME_MATERIAL: Final = 9.0
"""Largest difference in levels of what a part continues inside the mask; hair and a frame behind it differ more."""
_LEAST_DEPTH: Final = 0.075
"""Depth in face heights to which the part goes on inside the mask that segmentation gave: the mask is grown by 0.03."""
_LEAST_SHARE: Final = 0.25
_DEEPER_THAN: Final = 0.04
_NEAR: Final = 0.17
"""Share that the part must have of what is deeper inside the mask than this, and this near the contact, both in face
heights."""
_END_PART: Final = 0.15
"""Distance from the mask in face heights within which the colour of a part is compared."""
_ABOVE_CHIN: Final = 0.35
"""Parts are searched above this height over the chin, in face heights: hats and headphones are there."""
_GAP: Final = 0.03
"""Half the width in face heights of gaps beside parts, which have soft edges."""
_INSIDE: Final = 127
"""Level of a resized mask above which a pixel is inside."""
_DISTANCE_MASK_SIZE: Final = 5
"""Size of the mask of OpenCV's distance transform."""
_FILLED: Final = 2
"""Value of pixels that a flood fill has reached."""


class FacePlace(NamedTuple):
    """Where a face is in a picture: its chin (2,) and height in pixels, and its direction downwards (2,)."""

    chin: Float64Array
    down: Float64Array
    height_px: float


def add_continued_parts(picture: Image, mask: UInt8Array, segmented: UInt8Array, face: FacePlace) -> UInt8Array:
    """Return ``mask`` (H, W), 255 inside, with parts of the head that go on in the colour that they have inside of it.

    picture: (H, W, 3) RGB. segmented: (H, W), the mask without what other methods have added.
    """
    scale = min(1.0, _WORKING_HEIGHT_PX / face.height_px)
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    person, first = _reduced(mask, size), _reduced(segmented, size)
    if not person.any() or person.all():
        return mask
    small = cv2.medianBlur(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), _MEDIAN_PX)
    unit = scale * face.height_px
    head = _level(person.shape, face, scale) < -_ABOVE_CHIN * unit
    found = _Search(np.asarray(small, np.uint8), person, head, _depth(first), _depth(~person), unit).parts()
    if not found.any():
        return mask
    parts = close_gaps(_binary(person | found), _GAP * unit) & grow_mask(_binary(found), _GAP * unit)
    whole = cv2.resize(grow_mask(parts, 1.0), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.maximum(mask, _binary(whole > _INSIDE))


@dataclass(frozen=True)
class _Search:
    """Search in a reduced picture ``small`` (h, w, 3) with the mask ``person`` (h, w).

    head: (h, w), whether parts may touch the mask there. depth: (h, w) px inside the segmented mask. distance: (h, w)
    px from the person. unit: height of the face, px.
    """

    small: Image
    person: NDArray[np.bool_]
    head: NDArray[np.bool_]
    depth: Float32Array
    distance: Float32Array
    unit: float

    def parts(self) -> NDArray[np.bool_]:
        """Return the pixels (h, w) of all parts of the head outside the mask."""
        filled = np.pad((self.distance > _REACH * self.unit).astype(np.uint8), 1, constant_values=1)
        seen, found = np.zeros_like(self.person), np.zeros_like(self.person)
        flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (_FILLED << 8)
        limits = (_SAME_COLOUR,) * 3
        for row, column in np.argwhere(self.contact & self.head):
            if seen[row, column]:
                continue
            _, _, _, (x, y, width, height) = cv2.floodFill(
                self.small, filled, (int(column), int(row)), (0.0,), limits, limits, flags
            )
            window = slice(y, y + height), slice(x, x + width)
            in_window = filled[1:-1, 1:-1][window]
            region = in_window == _FILLED
            in_window[region] = 0
            seen[window] |= region
            for piece, around in self._pieces(region, window):
                part = self._cut(around)
                if part.is_compact(piece) and part.continues_inside(piece):
                    found[around] |= piece
        return found

    @cached_property
    def contact(self) -> NDArray[np.bool_]:
        """The pixels (h, w) outside the mask that touch it."""
        return np.asarray((grow_mask(_binary(self.person), 1.0) > 0) & ~self.person, bool)

    def _cut(self, window: Window) -> _Search:
        small = np.ascontiguousarray(self.small[window])
        return _Search(
            small, self.person[window], self.head[window], self.depth[window], self.distance[window], self.unit
        )

    def _pieces(self, region: NDArray[np.bool_], window: Window) -> Iterator[tuple[NDArray[np.bool_], Window]]:
        """Yield the connected parts of a region of ``window`` outside the mask that have a possible size.

        Each comes with a window around it.
        """
        outside = _binary(region & ~self.person[window])
        least, largest = (area * self.unit**2 for area in _AREA)
        if np.count_nonzero(outside) < least:
            return
        count, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=8)
        margin = ceil(_NEAR * self.unit) + 2
        for number in range(1, count):
            if least <= stats[number, cv2.CC_STAT_AREA] <= largest:
                x, y, width, height = (int(value) for value in stats[number, :4])
                top, left = max(window[0].start + y - margin, 0), max(window[1].start + x - margin, 0)
                bottom, right = window[0].start + y + height + margin, window[1].start + x + width + margin
                around = slice(top, bottom), slice(left, right)
                whole = np.zeros_like(self.person)
                whole[window] = labels == number
                yield whole[around], around

    def is_compact(self, piece: NDArray[np.bool_]) -> bool:
        """Whether a piece (h, w) shares a short edge with the mask, ends near it, and differs from its surroundings."""
        edge = piece & self.contact
        shared = float(edge.sum()) / self.unit
        if not _CONTACT[0] <= shared <= _CONTACT[1] or (edge & ~self.head).any():
            return False
        if self.distance[piece].max() > _ENDS_WITHIN * self.unit:
            return False
        near, wide = (grow_mask(_binary(piece), radius) > 0 for radius in (1.0, 2.0))
        ring = wide & ~near & ~self.person
        colour = np.median(self.small[piece], axis=0)
        differences = np.abs(self.small[ring].astype(np.float32) - colour).max(axis=-1)
        return len(differences) > 0 and float(np.median(differences)) > _LEAST_CONTRAST

    def continues_inside(self, piece: NDArray[np.bool_]) -> bool:
        """Whether what a piece (h, w) touches in the mask has its colour, also deeper inside."""
        end = piece & (self.distance < _END_PART * self.unit)
        colour = np.median(self.small[end], axis=0)
        near = grow_mask(_binary(piece & self.contact), _NEAR * self.unit) > 0
        alike = np.abs(self.small.astype(np.float32) - colour).max(axis=-1) <= _SAME_MATERIAL
        _, labels = cv2.connectedComponents(_binary(alike & near & (self.person | piece)), connectivity=4)
        reached = labels[piece]
        inside = np.isin(labels, reached[reached > 0]) & self.person
        deep = near & (self.depth > _DEEPER_THAN * self.unit)
        if not (inside & deep).any():
            return False
        share = float((inside & deep).sum()) / float(deep.sum())
        return share >= _LEAST_SHARE and float(self.depth[inside].max()) >= _LEAST_DEPTH * self.unit


def _level(shape: tuple[int, ...], face: FacePlace, scale: float) -> Float64Array:
    """Return the distance (h, w) below the chin in pixels of a picture reduced by ``scale``."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    x, y = face.chin * scale
    level: Float64Array = (columns - x) * face.down[0] + (rows - y) * face.down[1]
    return level


def _reduced(mask: UInt8Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > _INSIDE, bool)


def _depth(inside: NDArray[np.bool_]) -> Float32Array:
    """Return the distance (h, w) in pixels of pixels inside from those outside."""
    return np.asarray(cv2.distanceTransform(_binary(inside), cv2.DIST_L2, _DISTANCE_MASK_SIZE), np.float32)


def _binary(inside: NDArray[np.bool_]) -> UInt8Array:
    return inside.astype(np.uint8) * np.uint8(MASK_SET)
