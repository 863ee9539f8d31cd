"""Points that tremble made steady, frame by frame, without lagging behind what really moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

SLOWEST_HZ = 0.3
"""Cut-off where nothing moves."""
HZ_PER_SPEED = 25.0
"""How much the cut-off rises per unit of speed, in extents per second."""
SPEED_HZ = 1.0
"""Cut-off of the speed's own smoothing."""


class OneEuroFilter:
    """A one-euro filter (Casiez et al. 2012) over all points together, so that their shape is not bent."""

    def __init__(self, rate_hz: float) -> None:
        self._step_s = 1 / rate_hz
        self._points: Points | None = None
        self._velocity: Points | None = None

    def smooth(self, points: Points) -> Points:
        """The next frame's points (N, 2), in any unit, made steady; a first frame passes as it is."""
        if self._points is None or self._velocity is None:
            self._points, self._velocity = points.copy(), np.zeros_like(points)
            return self._points.copy()
        moved = (points - self._points) / self._step_s
        self._velocity += self._part(SPEED_HZ) * (moved - self._velocity)
        extent = max(float(np.hypot(*np.ptp(points, axis=0))), 1e-9)
        speed = float(np.hypot(*np.median(self._velocity, axis=0))) / extent
        self._points = self._points + self._part(SLOWEST_HZ + HZ_PER_SPEED * speed) * (points - self._points)
        return self._points.copy()

    def _part(self, cut_off_hz: float) -> float:
        """Share of the way to a new value that a filter of first order goes in one frame."""
        turns = 2 * np.pi * cut_off_hz * self._step_s
        return float(turns / (turns + 1))
