"""Face motion over time, in named parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array

MotionT = TypeVar("MotionT", bound="Motion")


@dataclass(frozen=True)
class Motion:
    """Face motion at 25 Hz (:data:`sadtalker_ext.constants.FRAME_RATE_HZ`).

    expression: (T, E) float32, coefficients of the engine's expression basis.
    rotation: (T, 3) float32, head pitch, yaw, roll in radians. Positive pitch looks down, positive yaw turns the face
        to the viewer's right, positive roll tilts the head to the viewer's right (clockwise in the picture).
    translation: (T, 3) float32, head translation in units of the face height: x right, y down, z towards the camera.
    """

    expression: Float32Array
    rotation: Float32Array
    translation: Float32Array

    def __post_init__(self) -> None:
        frames = self.expression.shape[0]
        if self.expression.ndim != 2 or self.rotation.shape != (frames, 3) or self.translation.shape != (frames, 3):
            raise ValueError(
                "motion parts must be (T, E), (T, 3), (T, 3); got "
                f"{self.expression.shape}, {self.rotation.shape}, {self.translation.shape}"
            )

    def __len__(self) -> int:
        return int(self.expression.shape[0])

    def __getitem__(self, frames: slice) -> Motion:
        return self.map_parts(lambda part: part[frames])

    def map_parts(self, function: Callable[[Float32Array], Float32Array]) -> Motion:
        """Apply ``function`` to each part; the results must have the same length T."""
        return Motion(function(self.expression), function(self.rotation), function(self.translation))

    def replace(self: MotionT, **parts: Float32Array) -> MotionT:
        """Return a copy with some of the parts (expression, rotation, translation) replaced."""
        return replace(self, **parts)
