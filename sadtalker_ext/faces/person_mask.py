"""Segmentation of the person in front of the background, refined by a guided filter."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from sadtalker_ext.arrays import Float32Array, Image, smoothstep
from sadtalker_ext.faces.networks import face_networks
from sadtalker_ext.geometry.landmarks import FaceBox

MODEL_PX = 256
"""Side of the input of PersonSegmenter; other shapes are resized to it."""
GUIDE_PX = 640
"""Long side at which the coefficients of the guided filter are computed; they are applied at full size."""
SMOOTHNESS = 2e-4
"""The eps of the guided filter: squared colour differences (0 to 1) below it count as noise."""
UNCERTAINTY = 0.15
"""Model outputs below this count as 0, outputs above 1 minus this as 1."""
RADIUS_MODEL_PX = 2.5
"""Radius of the guided filter in pixels of the model."""
CROP_FACE_HEIGHTS = 6.0
"""Side of the crop around a small face in face heights: head and shoulders."""
CROP_CENTRE_FACE_HEIGHTS = 1.1
"""Centre of the crop below the top of the face, in face heights."""
CROP_FEATHER = 0.12
"""Width of the transition at the edge of the crop, as a fraction of its longer side."""
SMALL_FACE = 1 / 8
"""A face lower than this fraction of the long side of the picture is segmented again in a crop."""


class _Area(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int


def segment_person(picture: Image, face: FaceBox | None = None) -> Float32Array:
    """Return the matte (H, W) float32 in [0, 1] of the people in an RGB picture (H, W, 3).

    face: face box of the main person; if it is small, head and shoulders are segmented again in a crop.
    """
    height, width = picture.shape[:2]
    matte = _segment(picture)
    if face is None or face.height >= SMALL_FACE * max(height, width):
        return matte
    area = _around(face, width, height)
    detail = _segment(picture[area.top : area.bottom, area.left : area.right])
    weight = _feather(area, width, height)
    inside = matte[area.top : area.bottom, area.left : area.right]
    inside += weight * (detail - inside)
    return matte


def guided_filter(guide: Image, coarse: Float32Array, radius: int, smoothness: float) -> Float32Array:
    """Return ``coarse`` (h, w) in [0, 1] refined to the edges of the RGB ``guide`` (H, W, 3): (H, W) in [0, 1].

    Source: He and Sun, "Fast Guided Filter", 2015: a linear model of the colour is fitted in windows of ``radius`` at
    the size of ``coarse`` and evaluated at the size of ``guide``. smoothness: eps of the filter.

    Own code: kornia 0.6.7, which hosts pin, has no guided filter. tests/faces/test_person_mask.py compares with the
    definition.
    """
    size = (coarse.shape[1], coarse.shape[0])
    small = np.asarray(cv2.resize(guide, size, interpolation=cv2.INTER_AREA), np.float32) / 255.0
    window = (2 * radius + 1, 2 * radius + 1)
    mean = np.asarray(cv2.blur(small, window), np.float32)
    mean_matte = cv2.blur(coarse, window)
    covariance = cv2.blur(small * coarse[..., None], window) - mean * mean_matte[..., None]
    slope = _solve_symmetric(_covariance(small, mean, window), smoothness, covariance)
    offset = mean_matte - (slope * mean).sum(axis=-1)
    model = np.dstack([cv2.blur(slope, window), cv2.blur(offset, window)])
    model = cv2.resize(model, (guide.shape[1], guide.shape[0]), interpolation=cv2.INTER_LINEAR)
    matte = model[..., 3]
    for channel in range(3):
        matte = matte + model[..., channel] * (guide[..., channel] * np.float32(1 / 255.0))
    return np.asarray(np.clip(matte, 0.0, 1.0), np.float32)


def _covariance(colour: Float32Array, mean: Float32Array, window: tuple[int, int]) -> Float32Array:
    """Return the covariances (6, h, w) rr, rg, rb, gg, gb, bb of an image (h, w, 3) within windows."""
    pairs = [(first, second) for first in range(3) for second in range(first, 3)]
    shared = [cv2.blur(colour[..., i] * colour[..., j], window) - mean[..., i] * mean[..., j] for i, j in pairs]
    return np.asarray(shared, np.float32)


def _solve_symmetric(matrix: Float32Array, smoothness: float, right: Float32Array) -> Float32Array:
    """Solve (3, 3) systems per pixel: ``matrix`` (6, h, w) of :func:`_covariance`, ``smoothness`` on its diagonal."""
    rr, rg, rb, gg, gb, bb = matrix
    rr, gg, bb = rr + smoothness, gg + smoothness, bb + smoothness
    a, b, c = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    d, e, f = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * a + rg * b + rb * c
    x, y, z = np.moveaxis(right, -1, 0)
    solved = np.stack([a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z], axis=-1)
    return np.asarray(solved / determinant[..., None], np.float32)


def _segment(picture: Image) -> Float32Array:
    """Return the mean matte of a picture and its mirror image, refined to the edges of the picture."""
    height, width = picture.shape[:2]
    resized = np.asarray(cv2.resize(picture, (MODEL_PX, MODEL_PX), interpolation=cv2.INTER_AREA), np.uint8)
    direct, mirrored = face_networks().segment([resized, resized[:, ::-1]])
    coarse = ((direct + mirrored[:, ::-1]) / 2 - UNCERTAINTY) / (1 - 2 * UNCERTAINTY)
    factor = min(1.0, GUIDE_PX / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    coarse = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)
    radius = max(2, round(max(size) / MODEL_PX * RADIUS_MODEL_PX))
    return guided_filter(picture, np.clip(coarse, 0.0, 1.0), radius, SMOOTHNESS)


def _around(face: FaceBox, width: int, height: int) -> _Area:
    """Return head and shoulders: a square of about six face heights, clipped to the picture."""
    side = CROP_FACE_HEIGHTS * face.height
    x, y = face.x + face.width / 2, face.y + CROP_CENTRE_FACE_HEIGHTS * face.height
    return _Area(
        max(0, round(x - side / 2)), max(0, round(y - side / 2)),
        min(width, round(x + side / 2)), min(height, round(y + side / 2)),
    )  # fmt: skip


def _feather(area: _Area, width: int, height: int) -> Float32Array:
    """Return weights: 1 inside the area, falling to 0 at its edges that are not edges of the picture."""
    high, wide = area.bottom - area.top, area.right - area.left
    band = max(1.0, CROP_FEATHER * max(high, wide))
    x, y = np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32)
    far = np.float32(1e6)
    across = np.minimum(x if area.left > 0 else far, x[::-1] if area.right < width else far)
    down = np.minimum(y if area.top > 0 else far, y[::-1] if area.bottom < height else far)
    across, down = np.broadcast_to(across, wide), np.broadcast_to(down, high)
    distance = np.minimum(across[None, :], down[:, None])
    return np.asarray(smoothstep(distance / band), np.float32)
