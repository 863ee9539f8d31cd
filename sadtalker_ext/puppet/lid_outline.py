"""Outlines of eyes that are larger than face landmarks expect, as those of many characters, dolls and animals.

Landmarks of such eyes end on the iris or on the white of the eye. The eye is separated from the skin by graph cuts on
colour models of both (Rother, Kolmogorov and Blake 2004, "GrabCut"), which start from the landmarks; where it reaches
further down or to the sides than they say, the lids follow it. The upper lid stays at the landmarks: above it, lashes
and make-up cannot be distinguished from the eye.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.curves import Curve
from sadtalker_ext.puppet.eye_patch import SAMPLES, EyePatch, cut_eye, lab_bytes, sample_eye
from sadtalker_ext.puppet.round_eyes import cover_round_eyes

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import EyeFrame, FaceGeometry

_REACH: Final = (1.7, 0.45, 1.0)
"""Reach of the patch to both sides of the eye, above and below the lids, in half eye widths."""
_ITERATIONS: Final = 2
"""Rounds of fitting the colour models and cutting; later ones hardly change the outline."""

_MIN_OPENING: Final = 0.25
"""Opening of the narrowest eye whose outline is searched, in half eye widths; two rows of samples are certainly eye."""

# What is certain before the first cut, from the landmarks.
_CORE_UPPER, _CORE_LOWER, _CORE_ASIDE = 0.25, 0.15, 0.85
"""Eye: distances from the lids, as shares of the opening, and from the middle, in half eye widths."""
_SKIN_ABOVE, _SKIN_BELOW, _SKIN_ASIDE = 0.35, 0.7, 1.5
"""Skin: from these distances above and below the lids and to the sides on, in half eye widths."""

_MIN_DROP: Final = 0.03
"""Distance below the landmarks' lid that the eye must reach, in half eye widths: less than a sample of the patch."""
_MIN_DARK_DROP: Final = 0.05
"""The same below a dark iris that fills the eye."""
_DROP_PERCENT: Final = 70.0
"""Percentile of the columns between the corners that must reach it."""
_LID_DEGREE: Final = 4
_CORNER_WEIGHT: Final = 10.0
"""Degree of the polynomial through the lower lid, and the weight of both corners, where the lids meet."""
_MARGIN: Final = 0.05
"""Added to the distances, in half eye widths: the line between eye and lid belongs to neither."""
_MIN_WIDER: Final = 0.08
"""Distance beyond a corner that the white of the eye must reach, in half eye widths."""
_BRIGHT: Final = 0.85
_SKIN_FROM: Final = 0.5
"""Lightness of the white of the eye relative to the skin below, on the same side from this distance from the middle on,
in half eye widths; lashes and shadows beyond a corner are darker."""
_OTHER_HUE: Final = 14.0
"""Distance of the hues a and b of an iris from those of the skin (CIE Lab)."""
_EYEBALL_SHARE: Final = 0.5
"""Share of what is below the landmarks' lid that must be white or iris."""
_DARK_IRIS: Final = 0.45
"""Lightness of a dark iris relative to the skin below the eye."""
_IRIS_SHARE: Final = 0.7
"""Share of the eye, above and below the landmarks' lid, that is dark."""
_ROUND_DROP: Final = 0.2
"""Mean distance below the landmarks' lids, in half eye widths, from which on eyes are large and round."""
_STRAIGHT_FROM: Final = 0.7
"""From here to a wider corner, in half eye widths, the upper lid is straight."""


def refine_lids(picture: Image, face: FaceGeometry, *, drawn: bool = False) -> FaceGeometry:
    """Return ``face`` with lids around all that is seen of the eyes in the picture (H, W, 3).

    drawn: whether it is a drawing; :func:`~sadtalker_ext.puppet.drawn_eyes.refine_drawn_eyes` finds its large eyes.
    """
    eyes = (face.left_eye, face.right_eye)
    patches = [None if eye.drawn or _is_narrow(eye) else _separate(picture, eye) for eye in eyes]
    left, right = patches
    if not drawn and left is not None and right is not None and _are_round(left, right):
        return cover_round_eyes(picture, face, (left, right))
    left_eye, right_eye = (
        eye if patch is None else _refine(eye, patch) for eye, patch in zip(eyes, patches, strict=True)
    )
    return replace(face, left_eye=left_eye, right_eye=right_eye)


def _are_round(left: EyePatch, right: EyePatch) -> bool:
    """Return whether both eyes reach so far below the landmarks that these end on the iris."""
    drops = [float(np.percentile(_drop(patch), _DROP_PERCENT)) for patch in (left, right)]
    if sum(drops) / 2.0 < _ROUND_DROP or min(drops) < _MIN_DROP:
        return False
    return all(_is_eyeball(patch) or _is_dark_iris(patch) for patch in (left, right))


def _drop(patch: EyePatch) -> Float64Array:
    """Return how far the eye reaches below the landmarks' lid in each column between the corners."""
    bottom = _bottom(patch)
    return np.maximum(bottom - patch.lower, 0.0)[np.abs(patch.u) < _CORE_ASIDE]


def _bottom(patch: EyePatch) -> Float64Array:
    """Return the lower end (w,) of the eye, the landmarks' lid in columns without it."""
    lowest = patch.v[len(patch.v) - 1 - np.argmax(patch.eye[::-1], axis=0)]
    return np.where(patch.eye.any(axis=0), lowest, patch.lower)


def _is_narrow(eye: EyeFrame) -> bool:
    """Return whether an eye is closed or nearly so: then too little of it is seen for a model of its colours."""
    return eye.opening_px < _MIN_OPENING * eye.half_px


def _refine(eye: EyeFrame, patch: EyePatch) -> EyeFrame:
    bottom = _bottom(patch)
    drop = np.maximum(bottom - patch.lower, 0.0)
    deepest = float(np.percentile(_drop(patch), _DROP_PERCENT))
    is_lower = (deepest >= _MIN_DROP and _is_eyeball(patch)) or (deepest >= _MIN_DARK_DROP and _is_dark_iris(patch))
    corners = [_wider_corner(patch, side) for side in (-1.0, 1.0)]
    if not is_lower and corners == [None, None]:
        return eye
    shown = (np.abs(patch.u) < 1.0) & (drop > 0.0) & is_lower
    lower = patch.lower + np.where(shown, drop + _MARGIN, 0.0)
    upper, ends = patch.upper.copy(), [-1.0, 1.0]
    for index, (side, corner) in enumerate(zip((-1.0, 1.0), corners, strict=True)):
        if corner is None:
            continue
        ends[index] = side * corner[0]
        along = side * patch.u
        start = float(np.interp(side * _STRAIGHT_FROM, patch.u, patch.upper))
        straight = np.interp(along, (_STRAIGHT_FROM, corner[0]), (start, corner[1]))
        upper = np.where(along > _STRAIGHT_FROM, straight, upper)
        lower = np.where(along > corner[0], corner[1], np.where(along > 1.0, bottom + _MARGIN, lower))
    new_upper = _tabulated(eye, patch.u, upper)
    new_lower = _tabulated(eye, patch.u, _smooth(patch.u, lower, ends)).not_above(new_upper)
    return replace(eye, upper=new_upper, lower=new_lower)


def _smooth(u: Float64Array, lower: Float64Array, ends: list[float]) -> Float64Array:
    """Return the lid ``lower`` at ``u`` as a polynomial between both corners at ``ends``, and as it is beyond them."""
    inside = (u >= ends[0]) & (u <= ends[1])
    weights = np.where(inside, 1.0, 0.0)
    weights[np.flatnonzero(inside)[[0, -1]]] = _CORNER_WEIGHT
    fitted = np.polyfit(u[inside], lower[inside], _LID_DEGREE, w=weights[inside])
    return np.where(inside, np.polyval(fitted, u), lower)


def _separate(picture: Image, eye: EyeFrame) -> EyePatch:
    """Return the surroundings of an eye and what of them is eye."""
    half, (aside, above, below) = eye.half_px, _REACH
    u = np.arange(-aside, aside, 1.0 / SAMPLES)
    upper, lower = eye.upper(u * half) / half, eye.lower(u * half) / half
    v = np.arange(upper.min() - above, lower.max() + below, 1.0 / SAMPLES)
    across, down = np.meshgrid(u, v)
    lab = lab_bytes(sample_eye(picture, eye, across, down))
    opening = lower - upper
    labels = np.full(down.shape, cv2.GC_PR_BGD, np.uint8)
    labels[(down > upper) & (down < lower) & (np.abs(across) < 1.0)] = cv2.GC_PR_FGD
    core = (down > upper + _CORE_UPPER * opening) & (down < lower - _CORE_LOWER * opening)
    labels[core & (np.abs(across) < _CORE_ASIDE)] = cv2.GC_FGD
    skin = (down < upper - _SKIN_ABOVE) | (down > lower + _SKIN_BELOW) | (np.abs(across) > _SKIN_ASIDE)
    labels[skin] = cv2.GC_BGD
    found = cut_eye(lab, labels, core, _ITERATIONS)
    return EyePatch(u, v, lab.astype(np.float32), upper, lower, found)


def _is_eyeball(patch: EyePatch) -> bool:
    """Return whether what reaches below the landmarks' lid is white or iris and not lashes, make-up and shadow.

    Those are darker than the skin and have its hue or none.
    """
    inside = np.abs(patch.u) < _CORE_ASIDE
    below = patch.eye & (patch.v[:, None] > patch.lower) & inside
    skin = (patch.v[:, None] > patch.lower + _SKIN_BELOW) & inside
    usual = np.median(patch.lab[skin], axis=0)
    bright = patch.lab[below][:, 0] > _BRIGHT * usual[0]
    coloured = np.hypot(*(patch.lab[below] - usual)[:, 1:].T) > _OTHER_HUE
    return float((bright | coloured).mean()) > _EYEBALL_SHARE


def _is_dark_iris(patch: EyePatch) -> bool:
    """Return whether what reaches below the landmarks' lid is the lower part of an iris that fills a dark eye.

    It is much darker than the skin, and so is the eye above it. Above make-up, there is the white of the eye.
    """
    inside, height = np.abs(patch.u) < _CORE_ASIDE, patch.v[:, None]
    skin = (height > patch.lower + _SKIN_BELOW) & inside
    dark = patch.lab[..., 0] < _DARK_IRIS * np.median(patch.lab[skin][:, 0])
    below = patch.eye & (height > patch.lower) & inside
    if not below.any() or dark[below].mean() < _IRIS_SHARE:
        return False
    edge = _CORE_LOWER * (patch.lower - patch.upper)
    above = (height < patch.lower - edge) & (height > patch.upper + edge)
    return float(dark[above & below.any(axis=0)].mean()) >= _IRIS_SHARE


def _wider_corner(patch: EyePatch, side: float) -> tuple[float, float] | None:
    """Return distance from the middle and height of the eye's corner on one side if the landmarks' one is nearer."""
    along = side * patch.u
    gaps = along[(along > 0.0) & ~patch.eye.any(axis=0)]
    end = float(gaps.min()) if len(gaps) else _SKIN_ASIDE
    beyond = patch.eye & (along > 1.0) & (along < end)
    below = (patch.v[:, None] > patch.lower + _SKIN_BELOW) & (along > _SKIN_FROM) & (along < _SKIN_ASIDE)
    if end < 1.0 + _MIN_WIDER or not beyond.any():
        return None
    if np.median(patch.lab[beyond][:, 0]) < _BRIGHT * np.median(patch.lab[below][:, 0]):
        return None
    last = patch.eye & (along > end - _MIN_WIDER) & (along < end)
    return end, float(np.broadcast_to(patch.v[:, None], last.shape)[last].mean())


def _tabulated(eye: EyeFrame, u: Float64Array, heights: Float64Array) -> Curve:
    """Return the lid through ``heights`` at ``u``, both in half eye widths, with the steps of the eye's lids."""
    start, step, values = eye.upper.start, eye.upper.step, eye.upper.values
    t = start + step * np.arange(len(values))
    return Curve(start, step, np.interp(t / eye.half_px, u, heights) * eye.half_px)
