"""The resolution limit at which a face that is too small in the animated picture has enough pixels."""

from __future__ import annotations

import math
from typing import Final

from sadtalker_ext.arrays import Image
from sadtalker_ext.settings import Settings

STEP_PX: Final = 64
"""Recommended limits are multiples of this, the step of the setting."""


def sufficient_limit_px(picture: Image, enough: float, file_scale: float) -> int | None:
    """Return a value of the setting ``resolution_limit`` that is large enough for a face; None if no value is.

    picture: (H, W, 3) uint8, in which faces are searched. enough: pixels of the face in it, divided by the pixels that
    are needed. file_scale: size of the picture file divided by that of ``picture``.
    """
    side_px = max(picture.shape[:2])
    highest_px = max(spec.high or 0 for spec in Settings.specs() if spec.name == "resolution_limit")
    needed_px = side_px / enough if enough > 0 else math.inf
    if needed_px > min(side_px * file_scale, highest_px):
        return None
    return min(int(highest_px), STEP_PX * math.ceil(needed_px / STEP_PX))
