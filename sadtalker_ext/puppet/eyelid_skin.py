"""Smooth skin for closed eyelids: the skin around an eye, continued over the eye itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.drawn_eyes import skin_distance
from sadtalker_ext.puppet.glasses import find_rims

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
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
_FAR_BLUR: Final = 1.2
"""Standard deviation with which skin is continued over hair, large drawn eyes and rims, in half eye widths."""
_ANY_RIM: Final = 0.02
"""Share of a rim from which on a pixel is not skin."""
_FLAT_COLOUR: Final = 18.0
"""Distance from the skin's colour (CIE Lab) up to which the flat areas of a drawing are skin."""
_BLUR: Final = 0.34
_MIN_BLUR_PX: Final = 0.8
"""Standard deviation of the averaging, in half eye widths, and its minimum."""


class LidSkin(NamedTuple):
    """Textures in picture coordinates. rims: (h, w, 3), how much a pixel is a rim of glasses; None without glasses."""

    smooth: Texture
    rims: Texture | None


def lid_skin(frame: EyeFrame, picture: Image, imaging: Imaging, flat_skin: Float64Array | None = None) -> LidSkin:
    """Return the skin around an eye without detail, continued over the eye, the lashes and the brow, and the rims.

    flat_skin: colour (3,) of the skin of a drawing; other colours, such as those of hair, are not skin. Normalised
    convolution (Knutsson and Westin 1993): only pixels that are certainly skin are averaged.
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
    rims = find_rims(crop, eye, frame.half_px)
    other = eye | (above < -_BROW_FROM * frame.crease_px) | (np.abs(t) > _SKIN_ASIDE * frame.half_px)
    if rims is not None:
        other |= rims > _ANY_RIM
    if flat_skin is not None:
        other |= skin_distance(crop, flat_skin) > _FLAT_COLOUR
    origin = (float(left), float(top))
    smooth = imaging.texture(_continue(crop, other, frame, flat_skin is not None or rims is not None), origin=origin)
    if rims is None:
        return LidSkin(smooth, None)
    return LidSkin(smooth, imaging.texture(np.repeat(rims[..., None], 3, axis=-1), origin=origin))


def _continue(crop: Float32Array, other: NDArray[np.bool_], frame: EyeFrame, far: bool) -> Float32Array:
    """Return the average skin (h, w, 3), continued where ``other`` is set; ``far``: over large areas too."""
    skin = np.where(other, _OTHER_WEIGHT, 1.0).astype(np.float32)
    if far:
        crop[other] = _average(crop, skin, _FAR_BLUR * frame.half_px + _MIN_BLUR_PX)[other]
    return _average(crop, skin, max(_BLUR * frame.half_px, _MIN_BLUR_PX))


def _average(levels: Float32Array, weight: Float32Array, sigma: float) -> Float32Array:
    """Return the weighted local average (h, w, 3) of ``levels`` for weights (h, w)."""
    colour = cv2.GaussianBlur(levels * weight[..., None], (0, 0), sigma)
    return np.asarray(colour / cv2.GaussianBlur(weight, (0, 0), sigma)[..., None], np.float32)
