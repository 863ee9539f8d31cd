"""Square, upright crops around a face and the way back from crop pixels to picture pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

CROP_PX = 192
"""Side of the crops that MediaPipe's face mesh reads."""

MESH_CROP_SCALE = 1.5
"""Crop side over face box side: what MediaPipe's own graph feeds its mesh (face_landmark_landmarks_to_roi)."""

_RIGHT_EYE, _LEFT_EYE = 33, 263


@dataclass(frozen=True)
class FaceCrop:
    """A square region of the picture.

    x, y: its centre in pixels. side: pixels of the picture. angle_rad: how far the face leans clockwise as seen
    in the picture; the crop leans with it. flip: whether the crop shows the face mirrored.
    """

    x: float
    y: float
    side: float
    angle_rad: float = 0.0
    flip: bool = False

    def jittered(self, shift: tuple[float, float], scale: float, turn_rad: float, flip: bool) -> FaceCrop:
        """The same region moved by a part of its side, scaled, turned, and mirrored or not."""
        x, y = self.x + shift[0] * self.side, self.y + shift[1] * self.side
        return replace(self, x=x, y=y, side=self.side * scale, angle_rad=self.angle_rad + turn_rad, flip=flip)

    def to_picture(self) -> NDArray[np.float64]:
        """The affine map (2, 3) from crop pixels to picture pixels."""
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


class Pyramid:
    """A picture (H, W, 3) uint8 and its halvings, so that small crops of large faces do not alias."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self.picture = picture
        self._levels: list[NDArray[np.uint8]] = [picture]

    def at_scale(self, factor: float) -> NDArray[np.uint8]:
        """The smallest level still at least ``factor`` times as large as the picture."""
        level = max(0, math.floor(-math.log2(min(1.0, factor)) + 1e-6))
        while len(self._levels) <= level and min(self._levels[-1].shape[:2]) >= 2:
            height, width = self._levels[-1].shape[:2]
            half = cv2.resize(self._levels[-1], ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
            self._levels.append(half.astype(np.uint8))
        return self._levels[min(level, len(self._levels) - 1)]

    def cut(self, crop: FaceCrop) -> NDArray[np.uint8]:
        """The crop's pixels (192, 192, 3); outside the picture its edge goes on."""
        image = self.at_scale(CROP_PX / crop.side)
        matrix = crop.to_picture()
        # Pixel centres lie at +0.5 in our coordinates and at whole numbers in OpenCV's.
        matrix[:, 2] += 0.5 * (matrix[:, 0] + matrix[:, 1])
        matrix[0] *= image.shape[1] / self.picture.shape[1]
        matrix[1] *= image.shape[0] / self.picture.shape[0]
        matrix[:, 2] -= 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cut = cv2.warpAffine(image, matrix, (CROP_PX, CROP_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cut, np.uint8)


def crop_to_picture(mesh: NDArray[np.float32], crop: FaceCrop) -> NDArray[np.float32]:
    """A mesh (478, 3) in crop pixels as picture pixels; depth is scaled like x and y.

    A mirrored crop gives the mesh of a mirrored face: undo the exchange of left and right points with
    :func:`sadtalker_ext.geometry.mean_face.mirror_points`.
    """
    matrix = crop.to_picture()
    points = mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    depth = mesh[:, 2:] * (crop.side / CROP_PX)
    placed: NDArray[np.float32] = np.concatenate([points, depth], axis=1).astype(np.float32)
    return placed


def crop_around_mesh(mesh: NDArray[np.float32]) -> FaceCrop:
    """The region that MediaPipe's mesh wants for a face whose mesh (478, 3) is roughly known."""
    across = mesh[_LEFT_EYE, :2] - mesh[_RIGHT_EYE, :2]
    angle = math.atan2(float(across[1]), float(across[0]))
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    upright = mesh[:468, :2] @ turn.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = turn.T @ ((low + high) / 2)
    return FaceCrop(float(x), float(y), float((high - low).max()) * MESH_CROP_SCALE, angle)
