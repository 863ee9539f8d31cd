"""CIE L*a*b* of sRGB colours, for the white D65.

Own code: the first conversion by OpenCV computes tables, which takes 0.1 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Image

TO_XYZ: Final = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]], np.float32
)
"""Linear red, green and blue to CIE XYZ (ITU-R BT.709); the second row is the luminance Y."""
WHITE_XYZ: Final = TO_XYZ.sum(axis=1)
LINEAR_BELOW: Final = 0.008856
"""Share of white below which L*a*b* are linear (CIE 15)."""


def rgb_to_lab(levels: NDArray[np.generic]) -> Float32Array:
    """Return CIE L*a*b* (..., 3), L* in [0, 100], of sRGB levels (..., 3) in [0, 255]."""
    share = _linear(np.asarray(levels, np.float32) / np.float32(255.0)) @ (TO_XYZ / WHITE_XYZ[:, None]).T
    x, y, z = np.moveaxis(np.where(share > LINEAR_BELOW, np.cbrt(share), 841.0 / 108.0 * share + 4.0 / 29.0), -1, 0)
    lab = np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)
    return np.asarray(lab, np.float32)


def lightness(levels: Image) -> Float32Array:
    """Return the CIE lightness L* (H, W) in [0, 100] of an sRGB picture (H, W, 3) uint8."""
    linear = _linear(np.arange(256, dtype=np.float32) / np.float32(255.0))
    red, green, blue = (linear[levels[..., i]] * TO_XYZ[1, i] for i in range(3))
    luminance = red + green + blue
    value: Float32Array = np.where(
        luminance > LINEAR_BELOW, np.float32(116.0) * np.cbrt(luminance) - np.float32(16.0),
        np.float32(903.3) * luminance,
    )  # fmt: skip
    return value


def _linear(encoded: Float32Array) -> Float32Array:
    """Return linear light in [0, 1] of encoded sRGB values in [0, 1] (IEC 61966-2-1)."""
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear, np.float32)
