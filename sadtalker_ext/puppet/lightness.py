"""Lightness of colours.

Own code: the first conversion to CIE Lab by OpenCV computes tables of all three axes, which takes 0.1 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Image

LUMINANCE: Final = (0.212671, 0.715160, 0.072169)
"""Share of linear red, green and blue in the luminance Y of white D65 (ITU-R BT.709)."""
LINEAR_BELOW: Final = 0.008856
"""Luminance below which lightness is proportional to it (CIE 15)."""


def lightness(levels: Image) -> Float32Array:
    """Return the CIE lightness L* (H, W) in [0, 100] of an sRGB picture (H, W, 3) uint8."""
    coded = np.arange(256) / 255.0
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    red, green, blue = (linear.astype(np.float32)[levels[..., i]] * np.float32(LUMINANCE[i]) for i in range(3))
    luminance = red + green + blue
    value: Float32Array = np.where(
        luminance > LINEAR_BELOW, np.float32(116.0) * np.cbrt(luminance) - np.float32(16.0),
        np.float32(903.3) * luminance,
    )  # fmt: skip
    return value
