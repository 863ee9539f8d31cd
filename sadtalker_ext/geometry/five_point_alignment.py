"""Five-point alignment of a face for 3DMM regression (Deep3DFaceRecon, Deng et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

ALIGNED_SIZE_PX = 224
FACE_SCALE = 102.0
"""Pixels per unit of the mean 3D face in the aligned picture."""

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
"""Left eye, right eye (in the picture), nose tip, left and right mouth corner of the mean face: x right, y up,
z forward."""


class AlignTransform(NamedTuple):
    """How a picture is aligned.

    width_px, height_px: size of the picture. scale: aligned pixels per picture pixel. x_px, y_px: origin of the mean
    face in the picture, y counted upwards from the bottom row.
    """

    width_px: int
    height_px: int
    scale: float
    x_px: float
    y_px: float

    @property
    def resized_px(self) -> tuple[int, int]:
        """Width and height after scaling, truncated."""
        return int(self.width_px * self.scale), int(self.height_px * self.scale)

    @property
    def corner_px(self) -> tuple[int, int]:
        """Left and top of the 224-pixel window in the scaled picture, truncated toward zero."""
        half = ALIGNED_SIZE_PX / 2
        width, height = self.resized_px
        left = width / 2 - half + (self.x_px - self.width_px / 2) * self.scale
        top = height / 2 - half + (self.height_px / 2 - self.y_px) * self.scale
        return int(left), int(top)


def five_points(landmarks68: Float32Array | Float64Array) -> Float64Array:
    """Return five points (5, 2) of landmarks (68, 2): mean of the corners of each eye, nose tip, mouth corners."""
    points: Float64Array = np.asarray(landmarks68, dtype=np.float64)
    eyes = [points[[36, 39]].mean(axis=0), points[[42, 45]].mean(axis=0)]
    return np.stack([*eyes, points[30], points[48], points[54]])


def flip_y(points: Float32Array | Float64Array, height_px: int) -> Float64Array:
    """Return points (N, 2) with y counted upwards from the bottom row instead of down from the top row."""
    flipped: Float64Array = np.array(points, dtype=np.float64)
    flipped[:, 1] = height_px - 1 - flipped[:, 1]
    return flipped


def fit_weak_perspective(
    image_points: Float32Array | Float64Array, model_points: Float32Array | Float64Array
) -> tuple[float, Float64Array]:
    """Fit the scale and shift that project ``model_points`` (N, 3) onto ``image_points`` (N, 2, y up).

    Returns pixels per model unit (mean norm of the two projection rows) and the position of the origin (2,).
    """
    count = len(image_points)
    system: Float64Array = np.zeros((2 * count, 8))
    system[0::2, :3] = model_points
    system[0::2, 3] = 1
    system[1::2, 4:7] = model_points
    system[1::2, 7] = 1
    target: Float64Array = np.asarray(image_points, dtype=np.float64).reshape(-1)
    solution = np.linalg.lstsq(system, target, rcond=None)[0]
    scale = (np.linalg.norm(solution[0:3]) + np.linalg.norm(solution[4:7])) / 2
    return float(scale), solution[[3, 7]]


def align_transform(points: Float32Array | Float64Array, width_px: int, height_px: int) -> AlignTransform:
    """Return the alignment for landmarks (68, 2) or the five points (5, 2), x right, y up, in pixels."""
    five = points if len(points) == len(STANDARD_POINTS) else five_points(points)
    scale, origin = fit_weak_perspective(five, STANDARD_POINTS)
    return AlignTransform(width_px, height_px, FACE_SCALE / scale, float(origin[0]), float(origin[1]))


def align_picture(picture: Image, transform: AlignTransform) -> Image:
    """Return the aligned face (224, 224, 3) of an RGB picture (H, W, 3) uint8; black outside the picture."""
    from PIL import Image as PillowImage

    left, top = transform.corner_px
    resampling = PillowImage.Resampling.BICUBIC
    resized = PillowImage.fromarray(picture).resize(transform.resized_px, resample=resampling)
    window = resized.crop((left, top, left + ALIGNED_SIZE_PX, top + ALIGNED_SIZE_PX))
    return np.asarray(window)
