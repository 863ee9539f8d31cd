"""The landmark record shared by every provider and every consumer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MESH_POINTS = 478
"""MediaPipe's attention mesh: 468 face points and 5 points for each iris."""


class FaceBox(NamedTuple):
    """A face box in pixels of the picture: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of one face.

    mesh: (478, 3) float32. Columns 0 and 1 are x (right) and y (down) in pixels of the picture; column 2 is
        depth in the same unit, smaller is closer to the camera, 0 near the middle of the head (MediaPipe's
        convention). Point order is MediaPipe's attention mesh; 468:473 is the iris of the person's right eye,
        473:478 of the left.
    box: the face box, tight around the face oval.
    provider: which model found it ("mediapipe", "face-alignment", "box").
    """

    mesh: NDArray[np.float32]
    box: FaceBox
    provider: str
