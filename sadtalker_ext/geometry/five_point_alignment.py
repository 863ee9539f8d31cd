"""Five-point alignment of a face for 3DMM regression (Deep3DFaceRecon, Deng et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Points = NDArray[np.float32] | Floats

ALIGNED_SIZE_PX = 224
FACE_SCALE = 102.0
"""Pixels per unit of the standard 3D face in the aligned picture."""

STANDARD_POINTS = np.array(
    [
        [-0.31148657, 0.29036078, 0.13377953],
        [0.30979887, 0.28972036, 0.13179526],
        [0.0032534988, -0.046179324, 0.55244243],
        [-0.25216928, -0.38133916, 0.22405732],
        [0.2484662, -0.38128236, 0.22235769],
    ],
    dtype=np.float32,
)
"""Left eye, right eye (as seen), nose tip, left and right mouth corner of the mean face; x right, y up, z forward."""


class AlignTransform(NamedTuple):
    """How a picture was aligned.

    width_px, height_px: of the picture; scale: pixels after per pixel before; x_px, y_px: where the standard
    face's origin lies, in pixels with y counted upwards from the bottom row.
    """

    width_px: int
    height_px: int
    scale: float
    x_px: float
    y_px: float

    @property
    def resized_px(self) -> tuple[int, int]:
        """Width and height after scaling (truncated)."""
        return int(self.width_px * self.scale), int(self.height_px * self.scale)

    @property
    def corner_px(self) -> tuple[int, int]:
        """Left and top of the 224-pixel window in the scaled picture (truncated toward zero)."""
        half = ALIGNED_SIZE_PX / 2
        width, height = self.resized_px
        left = width / 2 - half + (self.x_px - self.width_px / 2) * self.scale
        top = height / 2 - half + (self.height_px / 2 - self.y_px) * self.scale
        return int(left), int(top)


def five_points(landmarks68: Points) -> Floats:
    """(68, 2) landmarks -> (5, 2): mean of the corners of each eye, nose tip, mouth corners."""
    points: Floats = np.asarray(landmarks68, dtype=np.float64)
    eyes = [points[[36, 39]].mean(axis=0), points[[42, 45]].mean(axis=0)]
    return np.stack([*eyes, points[30], points[48], points[54]])


def flip_y(points: Points, height_px: int) -> Floats:
    """Points (N, 2) with y down -> y up, counted from the bottom row."""
    flipped: Floats = np.array(points, dtype=np.float64)
    flipped[:, 1] = height_px - 1 - flipped[:, 1]
    return flipped


def fit_weak_perspective(image_points: Points, model_points: Points) -> tuple[float, Floats]:
    """Least-squares scale and shift of ``model_points`` (N, 3) seen at ``image_points`` (N, 2, y up).

    Returns pixels per model unit (mean norm of the two projection rows) and the origin's position (2,).
    """
    count = len(image_points)
    system: Floats = np.zeros((2 * count, 8))
    system[0::2, :3] = model_points
    system[0::2, 3] = 1
    system[1::2, 4:7] = model_points
    system[1::2, 7] = 1
    target: Floats = np.asarray(image_points, dtype=np.float64).reshape(-1)
    solution = np.linalg.lstsq(system, target, rcond=None)[0]
    scale = (np.linalg.norm(solution[0:3]) + np.linalg.norm(solution[4:7])) / 2
    return float(scale), solution[[3, 7]]


def align_transform(points: Points, width_px: int, height_px: int) -> AlignTransform:
    """The alignment for landmarks (68, 2) or the five points (5, 2), x right, y up."""
    five = points if len(points) == len(STANDARD_POINTS) else five_points(points)
    scale, origin = fit_weak_perspective(five, STANDARD_POINTS)
    return AlignTransform(width_px, height_px, FACE_SCALE / scale, float(origin[0]), float(origin[1]))


def align_picture(picture: NDArray[np.uint8], transform: AlignTransform) -> NDArray[np.uint8]:
    """RGB picture (H, W, 3) -> aligned face (224, 224, 3); black outside the picture."""
    from PIL import Image

    left, top = transform.corner_px
    resized = Image.fromarray(picture).resize(transform.resized_px, resample=Image.Resampling.BICUBIC)
    window = resized.crop((left, top, left + ALIGNED_SIZE_PX, top + ALIGNED_SIZE_PX))
    return np.asarray(window)


def align_points(points: Points, transform: AlignTransform) -> Floats:
    """Points (N, 2), y up, in the aligned picture (y up, before the window's truncation)."""
    width, height = transform.resized_px
    centre = np.array([transform.x_px - transform.width_px / 2, transform.y_px - transform.height_px / 2])
    corner = np.array([width / 2 - ALIGNED_SIZE_PX / 2, height / 2 - ALIGNED_SIZE_PX / 2])
    return np.asarray((points - centre) * transform.scale - corner)
