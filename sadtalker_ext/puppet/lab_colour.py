"""Conversion of RGB levels to CIE L*a*b*.

The function of OpenCV takes 0.12 s to build its tables when it is called first, more than half of the time in which a
portrait is prepared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array

_TO_XYZ: Final = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]], np.float32
)
"""Linear sRGB to CIE XYZ for the white D65 (ITU-R BT.709 primaries)."""
_WHITE: Final = _TO_XYZ.sum(axis=1)
_LINEAR_BELOW: Final = np.float32((6.0 / 29.0) ** 3)
"""Share of white below which L*a*b* are linear (CIE 15)."""


def rgb_to_lab(levels: NDArray[np.generic]) -> Float32Array:
    """Return CIE L*a*b* (..., 3), L* in [0, 100], of sRGB levels (..., 3) in [0, 255], for the white D65."""
    encoded = np.asarray(levels, np.float32) / np.float32(255.0)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** np.float32(2.4))
    share = linear.astype(np.float32) @ (_TO_XYZ / _WHITE[:, None]).T
    x, y, z = np.moveaxis(np.where(share > _LINEAR_BELOW, np.cbrt(share), 841.0 / 108.0 * share + 4.0 / 29.0), -1, 0)
    lab = np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)
    return np.asarray(lab, np.float32)
