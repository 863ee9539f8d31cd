"""Find the faces of a picture: one function over all providers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sadtalker_ext.geometry.landmarks import Landmarks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def find_faces(picture: NDArray[np.uint8]) -> list[Landmarks]:
    """Every face of an RGB picture (H, W, 3) uint8, the largest first; an empty list when there is none."""
    from sadtalker_ext.geometry import mediapipe_faces

    return mediapipe_faces.find(picture)


def track_faces(frames: Iterable[NDArray[np.uint8]]) -> Iterator[Landmarks | None]:
    """The largest face of each frame, every frame measured on its own; None where there is none."""
    from sadtalker_ext.geometry import mediapipe_faces

    return mediapipe_faces.track(frames)
