"""The line that the lashes of a closed eye draw: as soft as the edges of the portrait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import EyeFrame

_THICKNESS: Final = 0.075
_MIN_THICKNESS_PX: Final = 0.6
"""Thickness of the line in a sharp portrait, as a share of the opening, and its minimum."""
_SHADE: Final = 0.55
"""Darkening of the line in a sharp portrait."""
_PATCH_ABOVE: Final = 0.3
"""Reach of the patch in which edges are measured, above and below the lids, in openings."""
_RANGE_PERCENT: Final = (2.0, 98.0)
_EDGE_PERCENT: Final = 99.0
"""Percentiles of the levels that give the contrast, and of the slopes that give the steepest edge."""
_STEP_SLOPE: Final = float(np.sqrt(2.0 * np.pi))
"""Contrast of a step divided by its steepest slope and by the standard deviation of the blur."""
_SHARP_PX: Final = 0.8
"""Blur of edges in a sharp picture, pixels."""
_MIN_SLOPE: Final = 0.1
"""Smallest slope, in levels per pixel, by which the contrast is divided."""


class LashLine(NamedTuple):
    """thickness_px and darkening of the line, and blur_px: the standard deviation of the blur of the eye's edges."""

    thickness_px: float
    shade: float
    blur_px: float


def measure_lash_line(picture: Image, frame: EyeFrame) -> LashLine:
    """Return the line for an eye of a picture (H, W, 3): blurred as the eye's edges are, with the same area."""
    blur_px = edge_blur_px(picture, frame)
    sharp_px = max(_THICKNESS * frame.opening_px, _MIN_THICKNESS_PX)
    thickness_px = float(np.hypot(sharp_px, np.sqrt(2.0) * blur_px))
    return LashLine(thickness_px, _SHADE * sharp_px / thickness_px, blur_px)


def edge_blur_px(picture: Image, frame: EyeFrame) -> float:
    """Return the standard deviation, in pixels, of the blur of the steepest edge in an eye; 0 in a sharp picture."""
    pad = _PATCH_ABOVE * frame.opening_px
    top, bottom = float(np.min(frame.upper.values)) - pad, float(np.max(frame.lower.values)) + pad
    t, v = np.meshgrid(np.arange(-frame.half_px, frame.half_px), np.arange(top, bottom))
    levels = _sample(picture, frame.axes.pixels(t, v))
    low, high = np.percentile(levels, _RANGE_PERCENT)
    slopes = [cv2.Sobel(levels, cv2.CV_64F, *order, scale=1.0 / 8.0) for order in ((1, 0), (0, 1))]
    steepest = max(float(np.percentile(np.hypot(*slopes), _EDGE_PERCENT)), _MIN_SLOPE)
    blur = float(high - low) / (steepest * _STEP_SLOPE)
    return float(np.sqrt(max(blur**2 - _SHARP_PX**2, 0.0)))


def _sample(picture: Image, where: Float64Array) -> Float64Array:
    """Return the grey levels (h, w) of a picture at ``where`` (h, w, 2)."""
    x, y = np.moveaxis(where.astype(np.float32), -1, 0)
    levels = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY), np.float64)
