"""Square crops around a face, and the transform from crop to picture pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from sadtalker_ext.arrays import Float32Array, Float64Array, Image
from sadtalker_ext.geometry.landmarks import FACE_POINTS

CROP_PX = 192
"""Side of the crops that FaceMesh reads."""

MESH_CROP_SCALE = 1.5
"""Crop side relative to the face box side, as in MediaPipe's graph (face_landmark_landmarks_to_roi)."""

_RIGHT_EYE, _LEFT_EYE = 33, 263


@dataclass(frozen=True)
class FaceCrop:
    """A square region of the picture.

    x, y: centre in pixels. side: length in pixels of the picture. angle_rad: clockwise rotation of the crop in the
    picture, so that the face is upright in it. flip: whether the crop is mirrored.
    """

    x: float
    y: float
    side: float
    angle_rad: float = 0.0
    flip: bool = False

    def jittered(self, shift: tuple[float, float], scale: float, turn_rad: float, flip: bool) -> FaceCrop:
        """Return the region shifted by fractions of its side, scaled, rotated by ``turn_rad``, and mirrored or not."""
        x, y = self.x + shift[0] * self.side, self.y + shift[1] * self.side
        return replace(self, x=x, y=y, side=self.side * scale, angle_rad=self.angle_rad + turn_rad, flip=flip)

    def to_picture(self) -> Float64Array:
        """Return the affine transform (2, 3) from crop pixels to picture pixels."""
        unit = self.side / CROP_PX
        cosine, sine = unit * math.cos(self.angle_rad), unit * math.sin(self.angle_rad)
        across = -1.0 if self.flip else 1.0
        half = CROP_PX / 2
        return np.array(
            [
                [across * cosine, -sine, self.x - half * (across * cosine - sine)],
                [across * sine, cosine, self.y - half * (across * sine + cosine)],
            ]
        )


class ImagePyramid:
    """A picture (H, W, 3) uint8 at halved sizes, so that small crops of large faces do not alias."""

    def __init__(self, picture: Image) -> None:
        self.picture = picture
        self._levels: list[Image] = [picture]

    def at_scale(self, factor: float) -> Image:
        """Return the smallest level that is at least ``factor`` times as large as the picture."""
        level = max(0, math.floor(-math.log2(min(1.0, factor)) + 1e-6))
        while len(self._levels) <= level and min(self._levels[-1].shape[:2]) >= 2:
            height, width = self._levels[-1].shape[:2]
            half = cv2.resize(self._levels[-1], ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
            self._levels.append(half.astype(np.uint8))
        return self._levels[min(level, len(self._levels) - 1)]

    def cut(self, crop: FaceCrop) -> Image:
        """Return the pixels (192, 192, 3) of a crop; the edge pixels of the picture are repeated outside.

        Own code: cv2.warpAffine takes 0.2 ms for a crop of a megapixel picture on one core, kornia.warp_affine 2.7 ms
        (measured with kornia 0.6.7).
        """
        image = self.at_scale(CROP_PX / crop.side)
        matrix = crop.to_picture()
        # Pixel centres are at +0.5 in crop coordinates and at integers in OpenCV's.
        matrix[:, 2] += 0.5 * (matrix[:, 0] + matrix[:, 1])
        matrix[0] *= image.shape[1] / self.picture.shape[1]
        matrix[1] *= image.shape[0] / self.picture.shape[0]
        matrix[:, 2] -= 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cut = cv2.warpAffine(image, matrix, (CROP_PX, CROP_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cut, np.uint8)


def crop_to_picture(mesh: Float32Array, crop: FaceCrop) -> Float32Array:
    """Transform a mesh (478, 3) from crop to picture pixels; depth is scaled like x and y.

    A mirrored crop gives the mesh of a mirrored face: swap left and right points with
    :func:`sadtalker_ext.geometry.mean_face.mirror_points`.
    """
    matrix = crop.to_picture()
    placed = np.empty(mesh.shape, np.float32)
    placed[:, :2] = (matrix[:, :2] @ mesh[:, :2].T + matrix[:, 2:]).T
    placed[:, 2] = mesh[:, 2] * (crop.side / CROP_PX)
    return placed


def crop_around_mesh(mesh: Float32Array) -> FaceCrop:
    """Return the input region of FaceMesh for a face with an approximate mesh (478, 3)."""
    across = mesh[_LEFT_EYE, :2] - mesh[_RIGHT_EYE, :2]
    angle = math.atan2(float(across[1]), float(across[0]))
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    upright = rotation @ mesh[:FACE_POINTS, :2].T
    low, high = upright.min(axis=1), upright.max(axis=1)
    x, y = rotation.T @ ((low + high) / 2)
    return FaceCrop(float(x), float(y), float((high - low).max()) * MESH_CROP_SCALE, angle)
