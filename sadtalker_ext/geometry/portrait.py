"""A portrait: a picture and the landmarks of the face to animate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Image
    from sadtalker_ext.geometry.landmarks import Landmarks


@dataclass(frozen=True)
class Portrait:
    """A picture and the face in it.

    picture: (H, W, 3) uint8 RGB, at the working resolution.
    landmarks: landmarks of the chosen face, in pixels of ``picture``.
    person: (H, W) float32 in [0, 1], opacity of the person in front of the background; None if no segmentation is
        available.
    mouth_covered: whether a mask, a hand or an object is in front of the mouth, so that the lips cannot move.
    """

    picture: Image
    landmarks: Landmarks
    person: Float32Array | None = None
    mouth_covered: bool = False
