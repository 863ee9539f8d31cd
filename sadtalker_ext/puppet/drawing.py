"""Whether a portrait is drawn: flat areas of colour instead of skin, as in anime, comics and line drawings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.lab_colour import lightness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

FLAT_SHARE: Final = 0.27
"""Share of flat skin above which a portrait is a drawing. Measured: at most 0.22 in 418 press photographs and 0.15 in
the 28 example portraits that are photographs, renderings or paintings; 0.32 to 0.76 in nine of ten drawings."""
_FACE_SAMPLES: Final = 96
"""Height of the face at which flatness is measured, in samples."""
_NOSE_LEVEL: Final = 0.62
"""Place of the nose's lower end in the sampled square, as a share of its height."""
_BLUR_SAMPLES: Final = 0.4
"""Standard deviation of the blur against aliasing, in samples."""
_FLAT_SLOPE: Final = 0.35
"""Slope of the lightness (CIE L*, 0 to 100) per sample below which a place is flat. Round, lit skin is steeper."""
_FULL_LIGHTNESS: Final = 60.0
"""Lightness of a well-lit face; slopes of a darker picture are smaller in proportion."""
_CLIPPED: Final = 253
"""Level from which on green has lost its slopes in an overexposed photograph; such places are not counted."""
_MIN_SHARE: Final = 0.1
"""Share of the skin that is not clipped below which the portrait is black lines on white paper."""
_OUTLINE_SAMPLES: Final = 3
_FEATURE_SAMPLES: Final = 3
"""Distances from the face's outline, and from eyes, brows and mouth, in samples, within which skin is not judged."""
_FEATURES: Final = (
    (*topo.LEFT_EYE_UPPER, *topo.LEFT_EYE_LOWER, *topo.LEFT_BROW),
    (*topo.RIGHT_EYE_UPPER, *topo.RIGHT_EYE_LOWER, *topo.RIGHT_BROW),
    (*topo.MOUTH_UPPER_OUTER, *topo.MOUTH_LOWER_OUTER),
)


def is_drawing(picture: Image, face: FaceGeometry, mesh: Float32Array) -> bool:
    """Return whether the portrait ``picture`` (H, W, 3) with the mesh (478, 3) in pixels is drawn."""
    return flat_share(picture, face, mesh) > FLAT_SHARE


def flat_share(picture: Image, face: FaceGeometry, mesh: Float32Array) -> float:
    """Return the share, 0 to 1, of the skin between the eyes and the chin that has no gradient of lightness."""
    move = _to_samples(face)
    levels = _sample(picture, move, _FACE_SAMPLES / face.height_px)
    points = mesh[:, :2].astype(np.float64) @ move[:, :2].T + move[:, 2]
    face_skin = _skin(points)
    skin = face_skin & (levels[..., 1] < _CLIPPED)
    if skin.sum() <= _MIN_SHARE * face_skin.sum():
        return float(face_skin.any())
    light = lightness(levels)
    flat = _FLAT_SLOPE * min(float(np.median(light[skin])) / _FULL_LIGHTNESS, 1.0)
    along, down = (cv2.Sobel(light, cv2.CV_32F, *order, scale=1.0 / 8.0) for order in ((1, 0), (0, 1)))
    return float((np.hypot(along, down)[skin] < flat).mean())


def _to_samples(face: FaceGeometry) -> Float64Array:
    """Return the affine map (2, 3) from pixels to the samples of an upright face."""
    scale = _FACE_SAMPLES / face.height_px
    turn = scale * np.stack([face.axes.along, face.axes.down])
    place = np.array([0.5, _NOSE_LEVEL]) * _FACE_SAMPLES - turn @ face.axes.origin
    move: Float64Array = np.concatenate([turn, place[:, None]], axis=1)
    return move


def _sample(picture: Image, move: Float64Array, scale: float) -> Image:
    """Return the levels (N, N, 3) on the samples that ``move`` (2, 3) maps to, ``scale`` samples per pixel."""
    smooth = picture if scale >= 1.0 else cv2.GaussianBlur(picture, (0, 0), _BLUR_SAMPLES / scale)
    size = (_FACE_SAMPLES, _FACE_SAMPLES)
    sampled = cv2.warpAffine(smooth, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.uint8)


def _skin(points: Float64Array) -> NDArray[np.bool_]:
    """Return which samples (N, N) are skin below the eyes, for the mesh ``points`` (478, 2) in samples."""

    def hull(indices: tuple[int, ...]) -> NDArray[np.uint8]:
        filled = np.zeros((_FACE_SAMPLES, _FACE_SAMPLES), np.uint8)
        outline = cv2.convexHull(points[list(indices)].astype(np.float32)).astype(np.int32)
        return np.asarray(cv2.fillConvexPoly(filled, outline, (1,)), np.uint8)

    def kernel(reach: int) -> NDArray[np.uint8]:
        return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)

    skin = cv2.erode(hull(topo.FACE_OVAL), kernel(_OUTLINE_SAMPLES)) > 0
    for feature in _FEATURES:
        skin &= cv2.dilate(hull(feature), kernel(_FEATURE_SAMPLES)) == 0
    eye_level = points[[topo.LEFT_EYE_UPPER[0], topo.RIGHT_EYE_UPPER[0]], 1].mean()
    skin[: max(int(eye_level), 0)] = False
    return np.asarray(skin, np.bool_)
