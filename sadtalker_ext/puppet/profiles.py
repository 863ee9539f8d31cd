"""Smooth one-dimensional profiles and limits from which displacement fields, masks and textures are built."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.arrays import smoothstep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float64Array, FloatT
    from sadtalker_ext.puppet.backend_array import BackendArray


@dataclass(frozen=True)
class Falloff:
    """Bell-shaped profile ``exp(-((x - centre) / width) ** power)``: 1 at the centre, 1/e at ``width`` from it.

    width and centre have the unit of ``x``. power: 2 is a Gaussian; higher values are flatter in the middle and
    steeper at the sides. An odd power is for arguments that are never below the centre.
    """

    width: float
    centre: float = 0.0
    power: int = 2

    def __call__(self, x: NDArray[FloatT]) -> NDArray[FloatT]:
        """Return the profile at ``x``, a NumPy array of any shape."""
        profile: NDArray[FloatT] = self.evaluate(x, np)
        return profile

    def evaluate(self, x: BackendArray, xp: ModuleType) -> BackendArray:
        """Return the profile at ``x``, an array of the module ``xp`` (NumPy or torch)."""
        offset = x - self.centre if self.centre else x
        return xp.exp(-((offset / self.width) ** self.power))


def smooth_ramp(x: NDArray[FloatT], zero_at: float, one_at: float) -> NDArray[FloatT]:
    """Return a Hermite step from 0 at ``zero_at`` to 1 at ``one_at``, constant beyond; ``zero_at`` may be the larger.

    x: array of any shape, in the unit of the two limits.
    """
    return smoothstep((x - zero_at) / (one_at - zero_at))


def smooth_edge(x: NDArray[FloatT], half_width: float) -> NDArray[np.float32]:
    """Return a soft edge: 0 below ``-half_width``, 1 above ``half_width``, 0.5 at 0."""
    return smoothstep(x / (2.0 * half_width) + 0.5).astype(np.float32)


def soft_clamp(
    value: Float64Array, low: float | Float64Array, high: float | Float64Array, softness: float
) -> Float64Array:
    """Return ``value`` unchanged inside [low, high] and bent smoothly towards a limit outside.

    low, high: numbers, or arrays of the shape of the last axis of ``value``. softness: distance of the limit from the
    range, as a share of ``high - low``.
    """
    margin = (high - low) * softness
    above, below = np.maximum(value - high, 0.0), np.maximum(low - value, 0.0)
    clamped: Float64Array = np.clip(value, low, high) + margin * (np.tanh(above / margin) - np.tanh(below / margin))
    return clamped
