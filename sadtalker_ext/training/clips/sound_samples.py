"""Conversion between float samples and the 16-bit samples that data sets store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Samples

INT16_MAX: Final = 32767
INT16_RANGE: Final = np.float32(32768)


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """Return samples in [-1, 1] as int16; values beyond are clipped."""
    rounded: NDArray[np.int16] = np.round(np.clip(samples, -1, 1) * INT16_MAX).astype(np.int16)
    return rounded


def from_int16(samples: NDArray[np.int16]) -> Samples:
    """Return int16 samples as float32 in [-1, 1)."""
    return samples / INT16_RANGE
