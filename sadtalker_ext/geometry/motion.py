"""Motion: what a face does over time, in named parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAME_RATE_HZ = 25.0
"""Motion is always sampled at 25 frames per second (SadTalker, section 3.1)."""


@dataclass(frozen=True)
class Motion:
    """Face motion sampled at :data:`FRAME_RATE_HZ`.

    expression: (T, E) float32, coefficients of the engine's expression basis.
    rotation: (T, 3) float32, head pitch, yaw, roll in radians. Positive pitch looks down, positive
        yaw turns the face to the viewer's right, positive roll leans the head to the viewer's right
        (clockwise as seen in the picture).
    translation: (T, 3) float32, head shift in units of the face height: x right, y down, z towards the camera.
    view_deg: (T, 3) float32, pitch, yaw and roll in degrees that the renderer takes instead of those it would predict
        from the rest, a column of NaN where it takes its own; None everywhere but in parity with the official code.
    """

    expression: NDArray[np.float32]
    rotation: NDArray[np.float32]
    translation: NDArray[np.float32]
    view_deg: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        frames = self.expression.shape[0]
        if self.expression.ndim != 2 or self.rotation.shape != (frames, 3) or self.translation.shape != (frames, 3):
            raise ValueError(
                "motion parts must be (T, E), (T, 3), (T, 3); got "
                f"{self.expression.shape}, {self.rotation.shape}, {self.translation.shape}"
            )

        if self.view_deg is not None and self.view_deg.shape != (frames, 3):
            raise ValueError(f"the view must be (T, 3) = {(frames, 3)}, got {self.view_deg.shape}")

    def __len__(self) -> int:
        return int(self.expression.shape[0])

    def __getitem__(self, frames: slice) -> Motion:
        return self.map_parts(lambda part: part[frames])

    def map_parts(self, function: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Motion:
        """Apply one function to each part; the result must keep T equal across parts."""
        view = None if self.view_deg is None else function(self.view_deg)
        return Motion(function(self.expression), function(self.rotation), function(self.translation), view)

    def replace(self, **parts: NDArray[np.float32]) -> Motion:
        """A copy with some parts (expression, rotation, translation) exchanged."""
        return replace(self, **parts)
