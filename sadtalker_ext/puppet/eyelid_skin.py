"""Smooth skin for closed eyelids: the skin around an eye, continued over the eye itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Image
    from sadtalker_ext.puppet.face_geometry import EyeFrame
    from sadtalker_ext.puppet.imaging import Imaging, Texture

_REACH: Final = 3.0
_REACH_PX: Final = 4
"""Reach of the texture from the eye's middle, in half eye widths, and pixels added to it."""
_EYE_ABOVE: Final = 0.45
_EYE_BELOW: Final = 0.35
_EYE_ASIDE: Final = 1.25
"""What is not skin because of the eye and its lashes: above and below the lids in openings, to the sides in half eye
widths."""
_BROW_FROM: Final = 0.85
"""What is not skin because of the brow: from this share of the way from the upper lid to the brow on."""
_SKIN_ASIDE: Final = 1.9
"""Skin is averaged up to this distance to the sides, in half eye widths; beyond are nose, temple and hair."""
_OTHER_WEIGHT: Final = 1e-3
"""Weight of everything that is not skin; not 0, so that the average is defined everywhere."""
_BLUR: Final = 0.34
_MIN_BLUR_PX: Final = 0.8
"""Standard deviation of the averaging, in half eye widths, and its minimum."""


def smooth_skin(frame: EyeFrame, picture: Image, imaging: Imaging) -> Texture:
    """Return the skin around an eye without detail, continued over the eye, the lashes and the brow.

    Normalised convolution (Knutsson and Westin 1993): only pixels that are certainly skin are averaged.
    """
    axes, reach = frame.axes, int(_REACH * frame.half_px) + _REACH_PX
    left = int(np.clip(axes.origin[0] - reach, 0, picture.shape[1] - 1))
    top = int(np.clip(axes.origin[1] - reach, 0, picture.shape[0] - 1))
    crop = picture[top : int(axes.origin[1]) + reach + 1, left : int(axes.origin[0]) + reach + 1].astype(np.float32)
    rows, columns = np.mgrid[0 : crop.shape[0], 0 : crop.shape[1]]
    t, v = axes.local(np.stack([columns + left, rows + top], axis=-1).astype(np.float64))
    above, below = v - frame.upper(t), v - frame.lower(t)
    eye = (above > -_EYE_ABOVE * frame.opening_px) & (below < _EYE_BELOW * frame.opening_px)
    eye &= np.abs(t) < _EYE_ASIDE * frame.half_px
    brow = above < -_BROW_FROM * frame.crease_px
    aside = np.abs(t) > _SKIN_ASIDE * frame.half_px
    skin = np.where(eye | brow | aside, _OTHER_WEIGHT, 1.0).astype(np.float32)
    sigma = max(_BLUR * frame.half_px, _MIN_BLUR_PX)
    colour = cv2.GaussianBlur(crop * skin[..., None], (0, 0), sigma)
    weight = cv2.GaussianBlur(skin, (0, 0), sigma)
    return imaging.texture(np.asarray(colour / weight[..., None], np.float32), origin=(float(left), float(top)))
