"""The line that the lashes of a closed eye draw: as soft as the edges of the portrait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.drawn_eyes import skin_distance
from sadtalker_ext.puppet.glasses import LINE_COLOUR

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import EyeFrame

_THICKNESS: Final = 0.075
_MIN_THICKNESS_PX: Final = 0.6
"""Thickness of the line in a sharp portrait, as a share of the opening, and its minimum."""
_BAND: Final = 0.22
"""Height of the lashes above the upper lid, as a share of the opening."""
_LASHES_ASIDE: Final = 0.8
_LASHES_FROM, _LASHES_TO = 0.1, 0.35
"""Where drawn lashes are searched: to both sides of the eye's middle (half eye widths), from below the upper lid
(openings) to above it (half eye widths)."""
_COLUMNS: Final = 33
_STEP_PX: Final = 0.5
"""Columns in which they are searched, and the step of the search in pixels."""
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
    """thickness_px and darkening of the line, and blur_px: the standard deviation of the blur of the eye's edges.

    band_px: height of the band above the upper lid that moves with it unstretched: the lashes. Those of a large drawn
    eye are a line already, which is not darkened.
    """

    thickness_px: float
    shade: float
    blur_px: float
    band_px: float


def measure_lash_line(picture: Image, frame: EyeFrame, flat_skin: Float64Array | None = None) -> LashLine:
    """Return the line for an eye of a picture (H, W, 3): blurred as the eye's edges are, with the same area.

    flat_skin: colour (3,) of the skin of a drawing, whose lashes are lines.
    """
    blur_px = edge_blur_px(picture, frame)
    sharp_px = max(_THICKNESS * frame.opening_px, _MIN_THICKNESS_PX)
    thickness_px = float(np.hypot(sharp_px, np.sqrt(2.0) * blur_px))
    band_px = _BAND * frame.opening_px
    if flat_skin is not None and not frame.drawn:
        band_px = max(band_px, _drawn_lashes_px(picture, frame, flat_skin))
    shade = 0.0 if frame.drawn and flat_skin is not None else _SHADE * sharp_px / thickness_px
    return LashLine(thickness_px, shade, blur_px, band_px)


def _drawn_lashes_px(picture: Image, frame: EyeFrame, skin: Float64Array) -> float:
    """Return how far the lash line of a drawing reaches above the upper lid, in the median along the lid."""
    t, above = np.meshgrid(
        np.linspace(-_LASHES_ASIDE, _LASHES_ASIDE, _COLUMNS) * frame.half_px,
        np.arange(-_LASHES_FROM * frame.opening_px, _LASHES_TO * frame.half_px, _STEP_PX),
    )
    where = frame.axes.pixels(t, frame.upper(t) - above).astype(np.float32)
    levels = cv2.remap(picture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    is_skin = skin_distance(levels, skin) < LINE_COLOUR
    is_skin[-1] = True
    return float(np.median(above[np.argmax(is_skin, axis=0), 0]))


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
