"""Displacement fields of the mouth: jaw, parting and closing lips, pucker, spread, smile and a mouth that rises.

Lengths are face heights unless a name ends in ``_px``. ``u`` is the position along the mouth in half mouth widths: -1
and 1 are the corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet.profiles import Falloff, smooth_ramp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

CORNER_SHARE: Final = 0.36
"""Share of the jaw's drop that the mouth corners follow."""
UPPER_LIP_CLOSES: Final = 0.3
"""Share of a closing gap that the upper lip covers; the lower lip covers the rest."""
PUCKER_NARROWS: Final = 0.36
"""Inward travel of the mouth corners at pucker = 1, in half mouth widths, before the falloff along the mouth."""
SPREAD_WIDENS: Final = 0.24
"""Outward travel of the mouth corners at spread = 1, in half mouth widths, before the falloff along the mouth."""

_LENS_POWER: Final = 0.58
_LENS_REACH: Final = 0.97
"""Exponent of the opening profile ``1 - (u / reach)^2``, and where lips begin to part, half mouth widths: inside the
corners, around which the lips join. With 0.5 the opening is an ellipse; with 1, wide mouths have straight sides."""
_WIDE_LENS_POWER: Final = 2.2
"""Exponent p of the opening profile ``(1 - (u / reach)^p)^(1 / p)`` of the widest mouth, which is rounder than an
ellipse, whose exponent is 2."""
_GAP_POWER: Final = 0.6
"""Exponent of the profile ``1 - u^2`` with which the gap of an open portrait closes."""

# The jaw.
_WIDE_CORNER_SHARE: Final = 0.46
"""Share of the drop that the mouth corners follow when the jaw is at its lowest: near half the opening's height."""
_MIN_CHIN_LEVEL: Final = 0.12
"""Smallest distance from the mouth line to the chin, face heights, for heads that look down so far that it vanishes."""
_JAW_SIDE_STILL: Final = 1.25
_JAW_SIDE_WHOLE: Final = 0.45
"""Distances from the mouth's middle axis, in half face widths, at which the jaw's motion has ended and up to
which it is whole."""
_JAW_NECK_STILL: Final = 0.36
_JAW_NECK_WHOLE: Final = -0.01
"""Levels below the chin, face heights, at which the jaw's motion has ended and up to which it is whole."""
_JAW_UPPER_REACH: Final = -0.16
"""Level from the upper lip's edge, face heights (negative is above), where the cheeks stop following the jaw."""
_JAW_LOWER_WHOLE: Final = 0.8
"""Share of the way from the lower lip's edge to the chin at which the skin follows the jaw completely."""
_JAW_UPPER_LIP_POWER: Final = 0.5
"""Exponent that widens the zone above the upper lip that stays while the corners follow the jaw."""
_JAW_INWARD: Final = 0.8
"""Factor of the inward pull in the jaw's field."""
_WIDE_INWARD: Final = 1.0
"""Factor of the inward pull that is added when the jaw is at its lowest."""
_CORNER_PULL: Final = 0.05
"""Inward travel per unit of u and unit weight of the jaw, in face heights: an opening mouth narrows."""
_CORNER_PULL_ALONG: Final = Falloff(1.35, power=4)
"""Falloff of the inward pull along the mouth, in half mouth widths: large at the corners, none on the cheeks."""
_CORNER_PULL_DOWN: Final = Falloff(0.17)
"""Falloff of the inward pull above and below the mouth line, in face heights."""

# Parting and closing lips.
_PART_BELOW: Final = Falloff(0.10)
_PART_ABOVE: Final = Falloff(0.085)
"""Falloff of the parting lips away from the lip edge, in face heights, below and above the mouth."""
_CLOSE_BELOW: Final = 0.19
_CLOSE_ABOVE: Final = Falloff(0.085)
"""Falloff of the closing lips away from the lip edge (below: its width), in face heights. Below, it is wider, because
the chin rises with the lip."""
_CHIN_STAYS: Final = 2.0
"""How fast that width shrinks with the square of the gap relative to the distance from the lower lip to the chin: a
drawn mouth can be as high as its chin, which keeps its outline."""
_SOURCE_GAP_RISE: Final = 4.0
"""Slope, per unit of the opening profile, with which closing the source gap begins at the mouth corners."""

# Pucker and spread.
_CORNER_REACH: Final = Falloff(0.16)
"""Falloff of pucker and spread above and below the mouth line, in face heights."""
_CORNER_RAMP: Final = Falloff(1.75, power=3)
"""Falloff of pucker and spread along the mouth, in half mouth widths: still large at the corners."""
CORNER_FOLLOWS: Final = float(_CORNER_RAMP(np.ones(1))[0])
"""Share of :data:`PUCKER_NARROWS` and :data:`SPREAD_WIDENS` that remains at the mouth corners."""
_SWELL_REACH: Final = 1.9
"""Falloff width of the thickening lip, in lip thicknesses."""
_SWELL_ALONG: Final = Falloff(1.1, power=4)
"""Falloff of the thickening along the mouth, in half mouth widths."""
_PUCKER_THICKENS: Final = 0.22
_SPREAD_THINS: Final = 0.16
"""Change of the upper lip's thickness at pucker = 1 and of both at spread = 1, as a share of the distance from the lip
edge. The lower lip keeps its height when it is rounded: as it narrows, it already looks fuller."""
_PUCKER_SPARES: Final = 0.35
"""Share of the narrowing that the middle of rounded lips does not take part in: the sides turn around the corners, so
that the opening is round and the lower lip no narrow block."""

# Smile.
_SMILE_CORNER_ALONG: Final = Falloff(0.62, centre=1.08)
_SMILE_CORNER_DOWN: Final = Falloff(0.15, centre=-0.02)
"""Where the corner moves: half mouth widths along the mouth, face heights below the mouth line."""
_SMILE_CHEEK_ALONG: Final = Falloff(0.55, centre=1.5)
_SMILE_CHEEK_DOWN: Final = Falloff(0.12, centre=-0.19)
"""Where the cheek moves, in the same units: outside and above the corner."""
_SMILE_SIDES: Final = 0.35
"""Distance from the middle, in half mouth widths, over which the sideways pull changes from left to right."""
_SMILE_OUT: Final = 0.028
_SMILE_UP: Final = 0.038
_SMILE_CHEEK_UP: Final = 0.010
"""Travel of the corner outwards and upwards and of the cheek upwards at smile = 1, in face heights."""

# The whole mouth.
_RAISE_DOWN: Final = Falloff(0.15, centre=0.05)
"""Falloff of the rising mouth, face heights below the mouth line. The muscle is in the chin, which moves along."""
_RAISE_ALONG: Final = Falloff(1.6, power=4)
"""Falloff of the rising mouth along the mouth, half mouth widths."""


@dataclass(frozen=True)
class MouthPlace:
    """Positions of points relative to the mouth.

    u: position along the mouth in half mouth widths. t_px: the same in pixels. from_upper, from_lower: distance below
    the inner edge of the upper and of the lower lip, face heights (negative above). level: distance below the straight
    line between the corners, face heights.
    """

    u: Float64Array
    t_px: Float64Array
    from_upper: Float64Array
    from_lower: Float64Array
    level: Float64Array

    @classmethod
    def measure(cls, face: FaceGeometry, points: Float64Array) -> MouthPlace:
        """Return the positions of ``points`` (..., 2) in pixels of the picture."""
        mouth, unit = face.mouth, face.height_px
        t, v = mouth.axes.local(points)
        return cls(
            u=mouth.normalised(t),
            t_px=t,
            from_upper=(v - mouth.upper(t)) / unit,
            from_lower=(v - mouth.lower(t)) / unit,
            level=v / unit,
        )


def mouth_fields(face: FaceGeometry, place: MouthPlace, below: bool) -> dict[str, Float64Array]:
    """Return the mouth's fields by name, each (..., 2) pixels per unit weight, for one layer of the skin.

    below: whether the layer is the skin below the mouth.
    """
    lens, zero = _lens(place.u), np.zeros_like(place.u)
    gap_lens = np.maximum(1.0 - place.u * place.u, 0.0) ** _GAP_POWER
    distance = np.maximum(place.from_lower, 0.0) if below else np.minimum(place.from_upper, 0.0)
    near = (_PART_BELOW if below else _PART_ABOVE)(distance)
    wide = (Falloff(_close_width(face)) if below else _CLOSE_ABOVE)(distance)
    gap = np.maximum(face.mouth.lower(place.t_px) - face.mouth.upper(place.t_px), 0.0) / face.height_px
    gap = gap * np.minimum(_SOURCE_GAP_RISE * gap_lens, 1.0)
    share = -(1.0 - UPPER_LIP_CLOSES) if below else UPPER_LIP_CLOSES
    inward = _CORNER_PULL * place.u * _CORNER_PULL_ALONG(place.u) * _CORNER_PULL_DOWN(place.level)
    jaw = _jaw_drop(face, place, below, (lens, CORNER_SHARE))
    wide_jaw = _jaw_drop(face, place, below, (_wide_lens(place.u), _WIDE_CORNER_SHARE))
    return {
        "jaw": _to_pixels(face, -inward * _JAW_INWARD, jaw),
        "jaw_wide": _to_pixels(face, -inward * _WIDE_INWARD * _CORNER_PULL_DOWN(place.level), wide_jaw - jaw),
        "part_lower": _to_pixels(face, zero, lens * near if below else zero),
        "part_upper": _to_pixels(face, zero, zero if below else -lens * near),
        "close_opened": _to_pixels(face, zero, share * lens * wide),
        "close_source": _to_pixels(face, zero, share * gap * wide),
        "mouth_raise": _to_pixels(face, zero, -_RAISE_DOWN(place.level) * _RAISE_ALONG(place.u)),
        **_corner_fields(face, place, below),
    }


def _close_width(face: FaceGeometry) -> float:
    """Return the width of the closing lips' falloff below the mouth, in face heights."""
    mouth = face.mouth
    chin_px = float(mouth.axes.local(face.chin)[1]) - float(mouth.lower(np.zeros(1))[0])
    gap = mouth.gap_px / max(chin_px, _MIN_CHIN_LEVEL * face.height_px)
    return _CLOSE_BELOW / (1.0 + _CHIN_STAYS * gap * gap)


def _lens(u: Float64Array) -> Float64Array:
    """Return the opening profile between the corners: 1 in the middle, 0 at the corners and beyond."""
    lens: Float64Array = np.maximum(1.0 - (u / _LENS_REACH) ** 2, 0.0) ** _LENS_POWER
    return lens


def _wide_lens(u: Float64Array) -> Float64Array:
    """Return the opening profile of the widest mouth."""
    inside = np.maximum(1.0 - np.abs(u / _LENS_REACH) ** _WIDE_LENS_POWER, 0.0)
    lens: Float64Array = inside ** (1.0 / _WIDE_LENS_POWER)
    return lens


def _to_pixels(face: FaceGeometry, along: Float64Array, down: Float64Array) -> Float64Array:
    """Return a displacement (..., 2) in pixels, given in face heights along the mouth's axes."""
    axes = face.mouth.axes
    vector: Float64Array = (along[..., None] * axes.along + down[..., None] * axes.down) * face.height_px
    return vector


def _jaw_drop(face: FaceGeometry, place: MouthPlace, below: bool, opening: tuple[Float64Array, float]) -> Float64Array:
    """Return the drop per unit weight of the jaw: 1 on the jaw and the lower lip, 0 on the upper lip.

    opening: the opening profile at ``place``, and the share of the drop that the mouth corners follow.
    """
    lens, corner_share = opening
    chin_level = max(float(face.mouth.axes.local(face.chin)[1]) / face.height_px, _MIN_CHIN_LEVEL)
    half_width = 0.5 * face.width_px / face.height_px
    side = np.abs(place.t_px) / face.height_px
    lateral = smooth_ramp(side, _JAW_SIDE_STILL * half_width, _JAW_SIDE_WHOLE * half_width)
    neck = smooth_ramp(place.level, chin_level + _JAW_NECK_STILL, chin_level + _JAW_NECK_WHOLE)
    distance = np.maximum(place.from_lower, 0.0) if below else np.minimum(place.from_upper, 0.0)
    base = np.where(
        distance < 0.0,
        corner_share * smooth_ramp(distance, _JAW_UPPER_REACH, 0.0),
        corner_share + (1.0 - corner_share) * smooth_ramp(distance, 0.0, _JAW_LOWER_WHOLE * chin_level),
    )
    if below:
        base = base + (1.0 - base) * lens
    else:
        base = base * (1.0 - lens * smooth_ramp(distance, _JAW_UPPER_REACH, 0.0) ** _JAW_UPPER_LIP_POWER)
    drop: Float64Array = base * lateral * neck
    return drop


def _corner_fields(face: FaceGeometry, place: MouthPlace, below: bool) -> dict[str, Float64Array]:
    """Return pucker, spread and smile: the corners move, the lips thicken or thin."""
    half = 0.5 * face.mouth.width_px / face.height_px
    reach = _CORNER_REACH(place.level)
    ramp = place.u * _CORNER_RAMP(np.abs(place.u))
    from_edge = place.from_lower if below else place.from_upper
    thickness = (face.mouth.lower_thickness_px if below else face.mouth.upper_thickness_px) / face.height_px
    swell = from_edge * Falloff(_SWELL_REACH * thickness)(from_edge) * _SWELL_ALONG(place.u)
    corner = _SMILE_CORNER_ALONG(np.abs(place.u)) * _SMILE_CORNER_DOWN(place.level)
    cheek = _SMILE_CHEEK_ALONG(np.abs(place.u)) * _SMILE_CHEEK_DOWN(place.level)
    side = np.tanh(place.u / _SMILE_SIDES)
    rounded = ramp * (1.0 - _PUCKER_SPARES * np.maximum(1.0 - place.u**2, 0.0) ** 2)
    thickens = np.zeros_like(swell) if below else _PUCKER_THICKENS * swell
    return {
        "pucker": _to_pixels(face, -PUCKER_NARROWS * half * rounded * reach, thickens),
        "spread": _to_pixels(face, SPREAD_WIDENS * half * ramp * reach, -_SPREAD_THINS * swell),
        "smile": _to_pixels(face, _SMILE_OUT * side * corner, -_SMILE_UP * corner - _SMILE_CHEEK_UP * cheek),
    }
