"""One-euro filter for points tracked through a video: removes jitter without a visible lag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array

MIN_CUTOFF_HZ = 0.3
"""Cut-off frequency at rest."""
SPEED_COEFFICIENT = 25.0
"""Increase of the cut-off frequency, in Hz, per unit of speed, in extents of the points per second."""
SPEED_CUTOFF_HZ = 1.0
"""Cut-off frequency of the speed estimate."""


class OneEuroFilter:
    """One-euro filter (Casiez et al. 2012) with one cut-off for all points, so that their shape is not distorted.

    rate_hz: frame rate of the video.
    """

    def __init__(self, rate_hz: float) -> None:
        self._step_s = 1 / rate_hz
        self._points: Float64Array | None = None
        self._velocity: Float64Array | None = None

    def smooth(self, points: Float64Array) -> Float64Array:
        """Return the filtered points (N, 2) of the next frame, in any unit; the first frame is returned unchanged."""
        if self._points is None or self._velocity is None:
            self._points, self._velocity = points.copy(), np.zeros_like(points)
            return self._points.copy()
        velocity = (points - self._points) / self._step_s
        self._velocity += self._smoothing_factor(SPEED_CUTOFF_HZ) * (velocity - self._velocity)
        extent = max(float(np.hypot(*np.ptp(points, axis=0))), 1e-9)
        speed = float(np.hypot(*np.median(self._velocity, axis=0))) / extent
        factor = self._smoothing_factor(MIN_CUTOFF_HZ + SPEED_COEFFICIENT * speed)
        self._points = self._points + factor * (points - self._points)
        return self._points.copy()

    def _smoothing_factor(self, cutoff_hz: float) -> float:
        """Return the weight of the new value in a first-order low-pass filter."""
        ratio = 2 * np.pi * cutoff_hz * self._step_s
        return float(ratio / (ratio + 1))
