"""A face at a fixed size and position, for measurements of its colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.geometry.landmarks import FACE_POINTS
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.puppet.lab_colour import lightness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

SIDE_PX: Final = 152
"""Height of the face oval in a patch, pixels; lengths in pixels below are pixels of the patch."""
_SIZE_PX: Final = (160, 192)
_CENTRE_PX: Final = (76.0, 94.0)
"""Width and height of a patch, and the place of the oval's centre in it."""
_BLUR_PX: Final = 1.0
"""Standard deviation of the blur of a patch: suppresses noise and texture of the skin."""
_REDUCING_BLUR: Final = 0.4
"""Standard deviation, in pixels of the patch, of the blur before a picture is reduced."""
_DARK_LEVELS: Final = np.float32(6.0)
"""Added to levels before the logarithm, so that noise in the dark is not amplified."""
_DISC_PX: Final = 4
"""Radius of the discs around mesh points."""


@dataclass(frozen=True)
class FacePatch:
    """A face moved onto the mean face by an affine map.

    light: (h, w) lightness, CIE L*. logs: (h, w, 3) logarithms of red, green and blue. inside: (h, w), whether a pixel
    is inside the picture. points: (478, 2) mesh points in pixels of the patch.
    """

    light: Float32Array
    logs: Float32Array
    inside: NDArray[np.bool_]
    points: Float64Array

    @classmethod
    def cut(cls, picture: Image, mesh: Float32Array) -> FacePatch:
        """Return the face with this mesh (478, 3) in an RGB picture (H, W, 3)."""
        columns = np.concatenate([mesh[:, :2].astype(np.float64) - 0.5, np.ones((len(mesh), 1))], axis=1)
        placed = mean_face_mesh()[:FACE_POINTS, :2].astype(np.float64) * SIDE_PX + _CENTRE_PX
        to_patch, *_ = np.linalg.lstsq(columns[:FACE_POINTS], placed, rcond=None)
        (left, top), (right, bottom) = _bounds(to_patch, picture)
        part = picture[top:bottom, left:right]
        scale = math.sqrt(abs(float(np.linalg.det(to_patch[:2]))))
        if scale < 1.0:
            part = cv2.GaussianBlur(part, (0, 0), _REDUCING_BLUR / scale).astype(np.uint8)
        shift = to_patch[2] + np.array([left, top]) @ to_patch[:2]
        matrix = np.concatenate([to_patch[:2].T, shift[:, None]], axis=1)
        rgb = cv2.warpAffine(part, matrix, _SIZE_PX, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        inside = cv2.warpAffine(np.ones(part.shape[:2], np.uint8), matrix, _SIZE_PX, flags=cv2.INTER_NEAREST)
        levels = cv2.GaussianBlur(rgb, (0, 0), _BLUR_PX).astype(np.uint8)
        logs = np.log(levels.astype(np.float32) + _DARK_LEVELS)
        return cls(lightness(levels), logs, inside > 0, columns @ to_patch)

    def fill(self, outline: Float64Array) -> NDArray[np.bool_]:
        """Return the pixels inside a closed outline (N, 2)."""
        filled = np.zeros(self.inside.shape, np.uint8)
        cv2.fillPoly(filled, [np.rint(outline * 16).astype(np.int32)], (1,), shift=4)
        return filled > 0

    def discs(self, indices: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return the pixels around mesh points that are inside the picture."""
        drawn = np.zeros(self.inside.shape, np.uint8)
        for x, y in np.rint(self.points[list(indices)]).astype(int).tolist():
            cv2.circle(drawn, (x, y), _DISC_PX, (1,), cv2.FILLED)
        return (drawn > 0) & self.inside


def _bounds(to_patch: Float64Array, picture: Image) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (left, top) and (right, bottom) of the part of the picture that a patch shows, at least one pixel."""
    corners = np.array([[x, y] for x in (0, _SIZE_PX[0]) for y in (0, _SIZE_PX[1])])
    found = np.linalg.solve(to_patch[:2].T, (corners - to_patch[2]).T).T
    height, width = picture.shape[:2]
    left, top = np.clip(np.floor(found.min(axis=0)) - 2, 0, (width - 1, height - 1)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(found.max(axis=0)) + 3, (left + 1, top + 1), (width, height)).astype(int).tolist()
    return (left, top), (right, bottom)
