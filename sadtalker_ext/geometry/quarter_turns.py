"""Turns of pictures and landmarks by multiples of 90 degrees, which lose no pixels, so that a face is upright."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.geometry.landmarks import Landmarks

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Image

_RIGHT_EYE: Final = (33, 133)
_LEFT_EYE: Final = (362, 263)
"""Corners of the subject's eyes."""


def upright_turns(face: Landmarks) -> int:
    """Return the number of counterclockwise turns, 0 to 3, after which the face leans by at most 45 degrees."""
    right, left = (face.mesh[list(corners), :2].mean(axis=0) for corners in (_RIGHT_EYE, _LEFT_EYE))
    roll_rad = math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))
    return round(roll_rad / (math.pi / 2)) % 4


def turn_picture(picture: Image, turns: int) -> Image:
    """Return a picture (H, W, 3) turned counterclockwise by ``turns`` times 90 degrees, contiguous."""
    return picture if turns % 4 == 0 else np.ascontiguousarray(np.rot90(picture, turns))


def turn_landmarks(face: Landmarks, size: tuple[int, ...], turns: int) -> Landmarks:
    """Return the landmarks in the turned picture. size: (height, width) before the turn."""
    if turns % 4 == 0:
        return face
    mesh, (height, width) = face.mesh.copy(), size
    for _ in range(turns % 4):
        mesh[:, :2] = np.stack([mesh[:, 1], width - mesh[:, 0]], axis=1)
        height, width = width, height
    return Landmarks.from_mesh(mesh, face.provider, face.lip_spread)
