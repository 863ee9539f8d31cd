"""How much each pixel of a picture belongs to the person in front of the background."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.faces.worker_client import WORKER
from sadtalker_ext.geometry.landmarks import FaceBox

Picture = NDArray[np.uint8]
Matte = NDArray[np.float32]

MODEL_PX = 256
"""Side of what MediaPipe's selfie segmentation (general model) looks at; other shapes are squeezed into it."""
GUIDE_PX = 640
"""Side at which the guided filter's coefficients are computed; they are applied to every pixel of the picture."""
SMOOTHNESS = 2e-4
"""The guided filter's eps: colour differences (0 to 1, squared) below it count as noise."""
DOUBT = 0.15
"""What the model gives less than this counts as none, what lacks less than this to 1 as all."""
CROP_FACE_HEIGHTS = 6.0
FACE_IS_SMALL = 1 / 8
"""A face lower than this part of the picture's long side is looked at again in a crop."""


class _Area(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int


def segment_person(picture: Picture, face: FaceBox | None = None) -> Matte:
    """The person's matte (H, W) float32 in [0, 1] of an RGB picture (H, W, 3).

    face: of the person that matters; where it is small in the picture, head and shoulders are looked at again closely.
    """
    height, width = picture.shape[:2]
    matte = _segment(picture)
    if face is None or face.height >= FACE_IS_SMALL * max(height, width):
        return matte
    area = _around(face, width, height)
    closer = _segment(picture[area.top : area.bottom, area.left : area.right])
    share = _feather(area, width, height)
    inside = matte[area.top : area.bottom, area.left : area.right]
    inside += share * (closer - inside)
    return matte


def guided_filter(guide: Picture, coarse: Matte, radius: int, smoothness: float) -> Matte:
    """``coarse`` (h, w) in [0, 1] with the edges of the RGB ``guide`` (H, W, 3): a (H, W) matte in [0, 1].

    Source: He and Sun, "Fast Guided Filter", 2015: the linear model in colour is fitted in windows of ``radius`` at
    the size of ``coarse`` and evaluated at the size of ``guide``.
    """
    size = (coarse.shape[1], coarse.shape[0])
    small = np.asarray(cv2.resize(guide, size, interpolation=cv2.INTER_AREA), np.float32) / 255.0
    window = (2 * radius + 1, 2 * radius + 1)
    mean = np.asarray(cv2.blur(small, window), np.float32)
    mean_matte = cv2.blur(coarse, window)
    shared = cv2.blur(small * coarse[..., None], window) - mean * mean_matte[..., None]
    slope = _solve_symmetric(_covariance(small, mean, window), smoothness, shared)
    offset = mean_matte - (slope * mean).sum(axis=-1)
    model = np.dstack([cv2.blur(slope, window), cv2.blur(offset, window)])
    model = cv2.resize(model, (guide.shape[1], guide.shape[0]), interpolation=cv2.INTER_LINEAR)
    matte = model[..., 3]
    for channel in range(3):
        matte = matte + model[..., channel] * (guide[..., channel] * np.float32(1 / 255.0))
    return np.asarray(np.clip(matte, 0.0, 1.0), np.float32)


def _covariance(colour: Matte, mean: Matte, window: tuple[int, int]) -> Matte:
    """(6, h, w): rr, rg, rb, gg, gb, bb of an image (h, w, 3) within windows."""
    pairs = [(first, second) for first in range(3) for second in range(first, 3)]
    shared = [
        cv2.blur(colour[..., i] * colour[..., j], window) - mean[..., i] * mean[..., j] for i, j in pairs
    ]
    return np.asarray(shared, np.float32)


def _solve_symmetric(matrix: Matte, smoothness: float, right: Matte) -> Matte:
    """Solve (3, 3) systems per pixel: ``matrix`` (6, h, w) of :func:`_covariance`, ``smoothness`` on its diagonal."""
    rr, rg, rb, gg, gb, bb = matrix
    rr, gg, bb = rr + smoothness, gg + smoothness, bb + smoothness
    a, b, c = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    d, e, f = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * a + rg * b + rb * c
    x, y, z = np.moveaxis(right, -1, 0)
    solved = np.stack([a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z], axis=-1)
    return np.asarray(solved / determinant[..., None], np.float32)


def _segment(picture: Picture) -> Matte:
    """The model's matte of one picture and its mirror image, sharpened to the picture's edges."""
    height, width = picture.shape[:2]
    squeezed = cv2.resize(picture, (MODEL_PX, MODEL_PX), interpolation=cv2.INTER_AREA)
    (seen,), (mirrored,) = WORKER.ask("segment", squeezed), WORKER.ask("segment", squeezed[:, ::-1])
    coarse = ((seen + mirrored[:, ::-1]) / 2 - DOUBT) / (1 - 2 * DOUBT)
    factor = min(1.0, GUIDE_PX / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    coarse = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)
    radius = max(2, round(max(size) / MODEL_PX * 2.5))
    return guided_filter(picture, np.clip(coarse, 0.0, 1.0), radius, SMOOTHNESS)


def _around(face: FaceBox, width: int, height: int) -> _Area:
    """Head and shoulders: a square of about six face heights, the face in its upper half, within the picture."""
    side = CROP_FACE_HEIGHTS * face.height
    x, y = face.x + face.width / 2, face.y + 1.1 * face.height
    return _Area(
        max(0, round(x - side / 2)), max(0, round(y - side / 2)),
        min(width, round(x + side / 2)), min(height, round(y + side / 2)),
    )  # fmt: skip


def _feather(area: _Area, width: int, height: int) -> Matte:
    """1 in the middle of the area, falling to 0 at those of its borders that are not the picture's."""
    high, wide = area.bottom - area.top, area.right - area.left
    band = max(1.0, 0.12 * max(high, wide))
    x, y = np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32)
    far = np.float32(1e6)
    across = np.minimum(x if area.left > 0 else far, x[::-1] if area.right < width else far)
    down = np.minimum(y if area.top > 0 else far, y[::-1] if area.bottom < height else far)
    across, down = np.broadcast_to(across, wide), np.broadcast_to(down, high)
    share = np.clip(np.minimum(across[None, :], down[:, None]) / band, 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), np.float32)
