"""Array types used in annotations, the smoothstep curve, and runs of flags."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Float32Array: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
UInt8Array: TypeAlias = NDArray[np.uint8]

Samples: TypeAlias = Float32Array
"""Mono audio (N,), float32 in [-1, 1]."""

Image: TypeAlias = UInt8Array
"""RGB picture (H, W, 3), uint8."""

Frame: TypeAlias = UInt8Array
"""One RGB frame of a video (H, W, 3), uint8."""

FloatT = TypeVar("FloatT", np.float32, np.float64)


def smoothstep(position: NDArray[FloatT]) -> NDArray[FloatT]:
    """Return ``3 x^2 - 2 x^3`` for ``position`` clipped to [0, 1]: 0 to 1 with zero slope at both ends.

    position: array of any shape; the result has its shape and dtype.
    """
    x = np.clip(position, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def true_runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, first after) of each run of true values of ``flags`` (N,)."""
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
