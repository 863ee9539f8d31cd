"""Surroundings of an eye, sampled along its axes, and the separation of the eye from the skin by graph cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.lab_colour import rgb_to_lab

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image, UInt8Array
    from sadtalker_ext.puppet.face_geometry import EyeFrame

SAMPLES: Final = 18
"""Samples per half eye width of the patch in which the eye is separated from the skin."""
_BLUR_SAMPLES: Final = 0.5
"""Standard deviation of the blur against aliasing, in samples."""
_LAB_SCALE: Final = np.array([2.55, 1.0, 1.0], np.float32)
_LAB_OFFSET: Final = np.array([0.0, 128.0, 128.0], np.float32)
"""CIE L*a*b* in bytes, as OpenCV encodes it: GrabCut reads pictures of bytes only."""
_MODEL_SIZE: Final = 65
"""Numbers of OpenCV's colour models: five Gaussians with weight, mean and covariance."""
_SEED: Final = 1
"""Seed of the clusters from which the colour models start, so that a portrait always has the same lids."""


class EyePatch(NamedTuple):
    """The surroundings of an eye. u: (w,), v: (h,) places along its axes, half eye widths.

    lab: (h, w, 3) CIE Lab, 0 to 255. upper, lower: (w,) the landmarks' lids. eye: (h, w) what is eye and not skin.
    """

    u: Float64Array
    v: Float64Array
    lab: Float32Array
    upper: Float64Array
    lower: Float64Array
    eye: NDArray[np.bool_]


def sample_eye(picture: Image, eye: EyeFrame, across: Float64Array, down: Float64Array) -> Image:
    """Return the levels (h, w, 3) at places (h, w) in half eye widths, which are 1 / SAMPLES apart."""
    step_px = eye.half_px / SAMPLES
    where = eye.axes.pixels(across * eye.half_px, down * eye.half_px).astype(np.float32)
    corner = np.maximum(np.floor(where.min(axis=(0, 1))).astype(int) - 1, 0)
    end = np.ceil(where.max(axis=(0, 1))).astype(int) + 2
    corner = np.minimum(corner, np.array(picture.shape[1::-1]) - 1)
    crop = picture[corner[1] : max(end[1], corner[1] + 1), corner[0] : max(end[0], corner[0] + 1)]
    smooth = cv2.GaussianBlur(crop, (0, 0), _BLUR_SAMPLES * step_px) if step_px > 1.0 else crop
    x, y = np.moveaxis(where - corner.astype(np.float32), -1, 0)
    levels = cv2.remap(smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(levels, np.uint8)


def lab_bytes(levels: Image) -> UInt8Array:
    """Return RGB levels (h, w, 3) as CIE Lab in bytes."""
    return np.asarray(np.rint(rgb_to_lab(levels) * _LAB_SCALE + _LAB_OFFSET), np.uint8)


def cut_eye(lab: UInt8Array, labels: UInt8Array, core: NDArray[np.bool_], iterations: int) -> NDArray[np.bool_]:
    """Return what is eye (h, w): the largest connected part in ``core``.

    lab: (h, w, 3) bytes. labels: (h, w), what is certain or probable, in OpenCV's numbers; it is changed.
    """
    cv2.setRNGSeed(_SEED)
    models = np.zeros((2, 1, _MODEL_SIZE))
    cv2.grabCut(lab, labels, (0, 0, 1, 1), models[0], models[1], iterations, cv2.GC_INIT_WITH_MASK)
    found = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    _, parts = cv2.connectedComponents(found, connectivity=4)
    seen = np.bincount(parts[core & (found > 0)], minlength=1)
    is_eye = parts == int(np.argmax(seen)) if seen.any() else np.zeros_like(core)
    return np.asarray(is_eye & (found > 0), np.bool_)
