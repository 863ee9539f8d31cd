"""A portrait: a picture and the face in it that will talk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sadtalker_ext.geometry.landmarks import Landmarks


@dataclass(frozen=True)
class Portrait:
    """picture: (H, W, 3) uint8 RGB, already at the working resolution.

    landmarks: of the chosen face, in pixels of ``picture``.
    person: (H, W) float32 in [0, 1], how much each pixel belongs to the person in front of the background,
        or None where no segmentation is at hand.
    """

    picture: NDArray[np.uint8]
    landmarks: Landmarks
    person: NDArray[np.float32] | None = None
