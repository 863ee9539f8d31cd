"""Borders of pictures, such as the white edge of a scan or black bars: they stay in front of a head that turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import cv2
import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Image
    from sadtalker_ext.puppet.warp import Window

    _Array = TypeVar("_Array", Image, Float32Array)

_WIDEST: Final = 0.12
"""Largest width of a border as a share of the picture's."""
_STEP: Final = 16
"""Least difference in levels between a border and the picture inside."""
_SHARE: Final = 0.8
"""Share of the side along which there is that difference: shoulders may reach a border of their colour."""
_APART: Final = 2
"""Distance in pixels of the compared lines: in a resized picture the line between belongs to both."""


def inside_border(picture: Image) -> Window:
    """Return the window of the picture (H, W, 3) within its border; the whole picture where it has none."""
    sides = picture, picture.transpose(1, 0, 2)
    (top, bottom), (left, right) = ((_width(side), _width(side[::-1])) for side in sides)
    return slice(top, picture.shape[0] - bottom), slice(left, picture.shape[1] - right)


def border_windows(size: tuple[int, int], inside: Window) -> tuple[Window, ...]:
    """Return the windows that cover a picture (height, width) outside of ``inside``."""
    rows, columns = inside
    whole, beside = slice(0, size[1]), rows
    windows = (
        (slice(0, rows.start), whole),
        (slice(rows.stop, size[0]), whole),
        (beside, slice(0, columns.start)),
        (beside, slice(columns.stop, size[1])),
    )
    return tuple(window for window in windows if all(part.start < part.stop for part in window))


def without_border(image: _Array, inside: Window) -> _Array:
    """Return an image (H, W) or (H, W, 3) whose border is covered by the last pixels inside."""
    rows, columns = inside
    height, width = image.shape[:2]
    widths = rows.start, height - rows.stop, columns.start, width - columns.stop
    if not any(widths):
        return image
    return cv2.copyMakeBorder(image[inside], *widths, borderType=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _width(lines: Image) -> int:
    """Return the width of the border at the first of the lines (N, L, 3), 0 if there is none."""
    first = np.ascontiguousarray(lines[: round(_WIDEST * len(lines)) + _APART])
    red, green, blue = cv2.split(cv2.absdiff(first[_APART:], first[:-_APART]))
    edges = np.flatnonzero((cv2.max(cv2.max(red, green), blue) > _STEP).mean(axis=1) >= _SHARE)
    return int(edges[-1]) + _APART if len(edges) else 0
