"""Step of a least-squares fit within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array

SWEEPS: Final = 30
"""Sweeps of the coordinate descent of a step that ends at a bound."""


def bounded_step(normal: Float64Array, gradient: Float64Array, low: Float64Array, high: Float64Array) -> Float64Array:
    """Return the step (P,) between ``low`` and ``high`` that minimises ``step @ normal @ step / 2 - gradient @ step``.

    Coordinate descent (Hildreth 1957), which starts at the minimum without bounds.
    """
    step: Float64Array = np.linalg.solve(normal, gradient)
    if np.all((step >= low) & (step <= high)):
        return step
    step = np.clip(step, low, high)
    for _ in range(SWEEPS):
        for k in range(len(step)):
            change = (gradient[k] - normal[k] @ step) / normal[k, k]
            step[k] = min(max(step[k] + change, low[k]), high[k])
    return step
