"""Camera movements on rendered frames, and sentences about views that an engine cannot show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sadtalker_ext.arrays import Float64Array, Frame
    from sadtalker_ext.engines.protocol import EngineSpec
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.geometry.portrait import Portrait

AXES: Final = ("pitch", "yaw", "roll")
TOLERANCE_DEG: Final = 4.0
"""Excess over a limit that is shown almost completely, because limits are soft; peaks of head motion exceed them."""
SAME_SHAPE: Final = 0.02
"""Largest difference of the aspect ratios of a picture and of frames that show all of it."""


def view_notes(motion: Motion, spec: EngineSpec) -> tuple[str, ...]:
    """Return a sentence for the user if the head turns further than the engine ``spec`` shows."""
    if spec.view_limits_deg is None:
        return ()
    largest = np.rad2deg(np.abs(motion.rotation).max(axis=0))
    beyond = [
        f"{name} of {angle:.0f} degrees (limit {limit:g})"
        for name, angle, limit in zip(AXES, largest, spec.view_limits_deg, strict=True)
        if angle > limit + TOLERANCE_DEG
    ]
    if not beyond:
        return ()
    listed = ", ".join(beyond)
    return (
        f"The head is to turn further than the engine {spec.name} shows: {listed}; larger angles are bent smoothly to "
        "just beyond the limit",
    )


def zoom_frames(frames: Iterator[Frame], zoom: Iterable[float], portrait: Portrait) -> Iterator[Frame]:
    """Yield frames (H, W, 3) magnified by ``zoom``, at least 1, about the face; frames at 1 are not changed.

    zoom: one value per frame, which is taken after the frame.
    """
    for frame, factor in zip(frames, zoom, strict=True):
        yield frame if factor <= 1.0 else _magnified(frame, float(factor), portrait)


def _magnified(frame: Frame, factor: float, portrait: Portrait) -> Frame:
    import cv2

    height, width = frame.shape[:2]
    centre = np.array([width, height]) * _face_centre(portrait, width / height) - 0.5
    back = np.array([[1.0 / factor, 0.0, 0.0], [0.0, 1.0 / factor, 0.0]])
    back[:, 2] = centre * (1.0 - 1.0 / factor)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    magnified = cv2.warpAffine(frame, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(magnified, np.uint8)


def _face_centre(portrait: Portrait, aspect: float) -> Float64Array:
    """Return the centre (2,) of the face as shares of the width and height of frames with this aspect ratio."""
    height, width = portrait.picture.shape[:2]
    if abs(aspect * height / width - 1.0) > SAME_SHAPE:
        return np.array([0.5, 0.5])  # the frame shows a part of the picture, with the face in its middle
    box = portrait.landmarks.box
    middle = np.array([(box.x + box.width / 2.0) / width, (box.y + box.height / 2.0) / height])
    return np.clip(middle, 0.0, 1.0)
