"""Alignment of faces to the square of 112 pixels that ArcFace was trained on (InsightFace)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.geometry.ffhq_alignment import PIXEL_CENTRE, fit_similarity
from sadtalker_ext.geometry.five_point_alignment import five_points
from sadtalker_ext.geometry.landmarks import subset_68

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

SIDE_PX: Final = 112
TEMPLATE_PX: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Left eye, right eye (in the picture), nose tip, mouth corners in OpenCV coordinates: the template of InsightFace."""


def identity_transform(mesh: Float32Array) -> Float64Array:
    """Return the transform (2, 3) from picture to square, both in OpenCV coordinates, for a mesh (478, 3)."""
    return fit_similarity(five_points(subset_68(mesh)) - PIXEL_CENTRE, TEMPLATE_PX)


def align_identity(picture: Image, mesh: Float32Array) -> Image:
    """Return the aligned face (112, 112, 3) of a picture (H, W, 3); black outside the picture."""
    import cv2

    return np.asarray(cv2.warpAffine(picture, identity_transform(mesh), (SIDE_PX, SIDE_PX)), np.uint8)
