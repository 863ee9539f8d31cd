"""Skin of closed eyelids: the skin around an eye, continued over the eye itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.drawn_eyes import skin_distance
from sadtalker_ext.puppet.glasses import RimMask, find_drawn_lines, find_rims

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import EyeFrame
    from sadtalker_ext.puppet.imaging import Imaging, Texture
    from sadtalker_ext.puppet.lash_line import LashLine

_REACH: Final = 3.0
_REACH_PX: Final = 4
"""Reach of the texture from the eye's middle, in half eye widths, and pixels added to it."""
_EYE: Final = (0.23, 0.35, 1.25)
"""What is not skin because of the eye: above the lashes and below the lower lid in openings, to the sides in half eye
widths."""
_ROUND: Final = (0.06, 0.35, 1.12)
"""The same for large round eyes, whose outline is that of the eye itself."""
_CORE: Final = (0.06, 0.2, 1.12)
_LARGE_CORE: Final = (0.18, 0.2, 1.12)
"""The same as the first without the skin on which rims of glasses and strands of hair may be in front of the lids, and
for large drawn eyes, which have thick lash lines."""
_BROW_FROM: Final = 0.85
"""What is not skin because of the brow: from this share of the way from the upper lid to the brow on."""
_SKIN_ASIDE: Final = 1.9
"""Skin is averaged up to this distance to the sides, in half eye widths; beyond are nose, temple and hair."""
_OTHER_WEIGHT: Final = 1e-3
"""Weight of everything that is not skin; not 0, so that the average is defined everywhere."""
_ANY_RIM: Final = 0.02
"""Share of a rim from which on a pixel is not skin."""
_FLAT_COLOUR: Final = 18.0
"""Distance from the skin's colour (CIE Lab) up to which the flat areas of a drawing are skin."""
_FOREIGN_COLOUR: Final = 30.0
_FOREIGN_SPREAD: Final = 2.5
"""Distance from the median colour around the eye (CIE Lab) up to which pixels are skin in other pictures: this value,
or this many times the median distance where wrinkles and light make more. Hair and background are farther."""
_OWN_ASIDE: Final = 1.0
"""Reach of what is skin in any colour, such as a hat's shadow, above and below the eye, in half eye widths."""
_ABOVE_ROUND: Final = 0.6
"""Height above the lower lid, in openings, from which on skin is taken for the lids of large round eyes: that below the
eye often has another colour in animals, and its fur another direction."""
_LIGHTNESS_WEIGHT: Final = 0.6
"""Weight of the difference in lightness in that distance: skin around an eye has shadows."""
_COARSE_HALF_PX: Final = 16.0
"""Half eye width, in pixels, to which the surroundings are reduced to be averaged: their average has no detail."""
_FAR_BLUR: Final = 1.2
"""Standard deviation with which skin is continued over hair, eyes and rims, in half eye widths."""
_BLUR: Final = 0.34
_MIN_BLUR_PX: Final = 0.8
"""Standard deviation of the averaging, in half eye widths, and its minimum."""
_GRAIN: Final = 0.16
"""Standard deviation, in half eye widths, of the average whose difference from the picture is its grain: pores, fine
wrinkles, brush strokes."""
_GRAIN_BELOW: Final = 0.4
"""Distance below the lower lid, in openings, from which on grain is taken: below the lashes."""
_GRAIN_SHARE: Final = 0.8
_GRAIN_LIMIT: Final = 2.0
"""Share of the grain that lids show, and its limit, as a multiple of its standard deviation."""


class LidSkin(NamedTuple):
    """Textures in picture coordinates. rims: (h, w, 3), how much a pixel is a rim of glasses; None without glasses.

    rim_mask: the same as an array of NumPy.
    """

    smooth: Texture
    rims: Texture | None = None
    rim_mask: RimMask | None = None


class _Place(NamedTuple):
    """The surroundings of an eye. levels: (h, w, 3) RGB. origin: picture coordinates of the first pixel.

    t, above, below: (h, w), pixels: place along the eye, distances below the top of the lashes and below the
    lower lid.
    """

    levels: Float32Array
    origin: tuple[float, float]
    t: Float64Array
    above: Float64Array
    below: Float64Array

    def eye(self, frame: EyeFrame, reach: tuple[float, float, float]) -> NDArray[np.bool_]:
        """Return the eye (h, w) with what is around it: above and below in openings, aside in half eye widths."""
        above, below, aside = reach
        inside = (self.above > -above * frame.opening_px) & (self.below < below * frame.opening_px)
        return inside & (np.abs(self.t) < aside * frame.half_px)


def lid_skin(
    frame: EyeFrame, picture: Image, imaging: Imaging, lashes: LashLine, flat_skin: Float64Array | None = None
) -> LidSkin:
    """Return the skin around an eye, continued over the eye, the lashes and the brow, and the rims.

    flat_skin: colour (3,) of the skin of a drawing; other colours, such as those of hair, are not skin. Normalised
    convolution (Knutsson and Westin 1993): only pixels that are certainly skin are averaged. Lids show the average with
    the grain of the skin below the eye.
    """
    place = _surroundings(frame, picture, lashes.band_px)
    levels, half = place.levels, frame.half_px
    core = place.eye(frame, _LARGE_CORE if frame.drawn else _CORE)
    rims = find_rims(levels, core, half) if flat_skin is None else find_drawn_lines(levels, core, flat_skin)
    other = (
        place.eye(frame, _ROUND if frame.drawn and flat_skin is None else _EYE)
        | (place.above < lashes.band_px - _BROW_FROM * frame.crease_px)
        | (np.abs(place.t) > _SKIN_ASIDE * half)
    )
    if rims is not None:
        other |= rims > _ANY_RIM
    if flat_skin is not None:
        other |= skin_distance(levels, flat_skin) > _FLAT_COLOUR
    elif frame.drawn:
        other |= place.below > -_ABOVE_ROUND * frame.opening_px
    else:
        other |= _foreign(levels, other) & (np.abs(place.t) > _OWN_ASIDE * half)
    smooth = _average_skin(levels, other, half)
    if flat_skin is None and not frame.drawn:
        smooth += _grain(place, other, frame)
    texture = imaging.texture(np.clip(smooth, 0.0, 255.0), origin=place.origin)
    if rims is None:
        return LidSkin(texture)
    on_channels = imaging.texture(np.repeat(rims[..., None], 3, axis=-1), origin=place.origin)
    return LidSkin(texture, on_channels, RimMask(rims, place.origin))


def _surroundings(frame: EyeFrame, picture: Image, lashes_px: float) -> _Place:
    axes, reach = frame.axes, int(_REACH * frame.half_px) + _REACH_PX
    left = int(np.clip(axes.origin[0] - reach, 0, picture.shape[1] - 1))
    top = int(np.clip(axes.origin[1] - reach, 0, picture.shape[0] - 1))
    crop = picture[top : int(axes.origin[1]) + reach + 1, left : int(axes.origin[0]) + reach + 1].astype(np.float32)
    rows, columns = np.mgrid[0 : crop.shape[0], 0 : crop.shape[1]]
    t, v = axes.local(np.stack([columns + left, rows + top], axis=-1).astype(np.float64))
    return _Place(crop, (float(left), float(top)), t, v - frame.upper(t) + lashes_px, v - frame.lower(t))


def _foreign(crop: Float32Array, other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which pixels (h, w) have a colour far from the usual one where ``other`` is not set."""
    if other.all():
        return other
    distance = skin_distance(crop, np.median(crop[~other], axis=0).astype(np.float64), _LIGHTNESS_WEIGHT)
    return distance > max(_FOREIGN_COLOUR, _FOREIGN_SPREAD * float(np.median(distance[~other])))


def _average_skin(crop: Float32Array, other: NDArray[np.bool_], half_px: float) -> Float32Array:
    """Return the average skin (h, w, 3), continued where ``other`` is set."""
    scale = min(_COARSE_HALF_PX / half_px, 1.0)
    size = (max(round(crop.shape[1] * scale), 1), max(round(crop.shape[0] * scale), 1))
    skin = np.where(other, np.float32(_OTHER_WEIGHT), np.float32(1.0))
    weight = np.asarray(cv2.resize(skin, size, interpolation=cv2.INTER_AREA), np.float32)
    levels = cv2.resize(crop * skin[..., None], size, interpolation=cv2.INTER_AREA) / weight[..., None]
    far = _average(levels, weight, _FAR_BLUR * half_px * scale + _MIN_BLUR_PX)
    levels = levels * weight[..., None] + far * (1.0 - weight[..., None])
    near = _average(levels, weight, max(_BLUR * half_px * scale, _MIN_BLUR_PX))
    return np.asarray(cv2.resize(near, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _average(levels: Float32Array, weight: Float32Array, sigma: float) -> Float32Array:
    """Return the weighted local average (h, w, 3) of ``levels`` for weights (h, w)."""
    colour = cv2.GaussianBlur(levels * weight[..., None], (0, 0), sigma)
    return np.asarray(colour / cv2.GaussianBlur(weight, (0, 0), sigma)[..., None], np.float32)


def _grain(place: _Place, other: NDArray[np.bool_], frame: EyeFrame) -> Float32Array:
    """Return the grain (h, w, 3) of the skin below the eye, mirrored at the lower lid."""
    levels, skin = place.levels, np.where(other, np.float32(0.0), np.float32(1.0))
    sigma = max(_GRAIN * frame.half_px, _MIN_BLUR_PX)
    weight = cv2.GaussianBlur(skin, (0, 0), sigma)[..., None]
    average = cv2.GaussianBlur(levels * skin[..., None], (0, 0), sigma) / np.maximum(weight, _OTHER_WEIGHT)
    grain = (levels - average) * skin[..., None]
    known = grain[skin > 0.0]
    limit = _GRAIN_LIMIT * float(known.std()) if len(known) else 0.0
    mirrored_below = _GRAIN_BELOW * frame.opening_px + np.maximum(-place.below, 0.0)
    offset = (mirrored_below - place.below)[..., None] * frame.axes.down
    rows, columns = np.mgrid[0 : levels.shape[0], 0 : levels.shape[1]].astype(np.float32)
    x, y = columns + offset[..., 0].astype(np.float32), rows + offset[..., 1].astype(np.float32)
    mirrored = cv2.remap(grain, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(_GRAIN_SHARE * np.clip(mirrored, -limit, limit), np.float32)
