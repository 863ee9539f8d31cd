"""Painted teeth with their gums, as strips in the portrait's own light and colours.

Sizes are those of an average adult mouth (Wheeler's Dental Anatomy: crown widths of the upper incisors 8.5 and 6.5 mm,
canine 7.5 mm; lower incisors 5 and 5.5 mm, canine 7 mm), seen from the front: the arch foreshortens the side teeth.
Lengths are face heights, positions across are half mouth widths, unless stated otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.profiles import Falloff, smooth_edge
from sadtalker_ext.puppet.strips import ACROSS, Strip, strip_axes

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.strips import Palette


@dataclass(frozen=True)
class _Arch:
    """One row of teeth.

    edges: borders of the teeth from the middle outwards. lengths: of each tooth, as a share of the longest. length: of
    the longest crown. rounding: scale of the rounded incisal corners. turn: position at which the arch has turned away
    from the light by half. reach: position of the soft outer end, reach_half_width: half its width. upward: whether the
    gum is above the teeth.
    """

    edges: tuple[float, ...]
    lengths: tuple[float, ...]
    length: float
    rounding: float
    turn: float
    reach: float
    reach_half_width: float
    upward: bool


class _Position(NamedTuple):
    """Position of the texels of a strip, each broadcastable to (h, w).

    across: from -1 at the inner side of a tooth to 1 at its outer side. edge: distance from the tooth's own incisal
    edge. away: distance from the edge of the longest tooth. turn: 1 where the arch faces the viewer, falling to 0.
    """

    across: Float64Array
    edge: Float64Array
    away: Float32Array
    turn: Float32Array


_UPPER: Final = _Arch(
    edges=(0.0, 0.335, 0.575, 0.80, 0.95, 1.08, 1.2),
    lengths=(1.0, 0.90, 0.98, 0.88, 0.80, 0.72),
    length=0.062,
    rounding=1.0,
    turn=0.62,
    reach=ACROSS - 0.08,
    reach_half_width=0.06,
    upward=True,
)
_LOWER: Final = _Arch(
    edges=(0.0, 0.205, 0.425, 0.66, 0.83, 0.97, 1.1),
    lengths=(0.97, 0.99, 1.0, 0.93, 0.85, 0.75),
    length=0.052,
    rounding=0.35,
    turn=0.70,
    reach=0.66,
    reach_half_width=0.16,
    upward=False,
)

_GUM_HEIGHT: Final = 0.05
"""Height of the gum beyond the longest tooth."""

# Outline. Positions across a tooth run from -1 (towards the middle) to 1.
_SHORTER_AT_EDGE: Final = 0.35
"""Share of a tooth's missing length that is missing at the incisal edge; the rest is hidden by the gum."""
_CORNER_ROUNDING: Final = 0.0075
_CORNER_POWER: Final = 3.5
"""Rise of the incisal edge at a tooth's sides, and the exponent of its profile: flat in the middle, round corners."""
_OUTER_ROUNDING: Final = 0.003
"""Additional rise of the edge at the outer side, which is rounder than the inner one."""
_GUM_LINE: Final = 0.94
_GUM_ARCH: Final = 0.10
_GUM_ARCH_POWER: Final = 2.5
"""The gum line in crown lengths from the incisal edge: in a tooth's middle, lower at its sides by the arch."""
_EDGE_HALF_WIDTH: Final = 0.0018
"""Half width of the soft incisal edge."""
_GUM_HALF_WIDTH: Final = 0.004
"""Half width of the soft border between tooth and gum."""

# Shading: factors of the enamel's level.
_GAP_SHADE: Final = 0.12
_GAP_PROFILE: Final = Falloff(0.07)
_GAP_HALF_WIDTH: Final = 0.012
"""Darkening between two teeth, its falloff from their border across a tooth, and the distance in which it fades in from
the incisal edge."""
_SIDE_SHADE: Final = 0.06
_SIDE_POWER: Final = 2.5
"""Darkening of a tooth's sides, which curve away, and the exponent of its profile."""
_TIP_SHADE: Final = 0.10
_TIP_PROFILE: Final = Falloff(0.006)
"""Darkening of the translucent incisal edge, and its falloff towards the gum."""
_NECK_SHADE: Final = 0.12
"""Darkening at the neck of a tooth."""
_NECK_WARMTH_RGB: Final = (0.0, 0.03, 0.10)
"""Loss of red, green and blue at the neck, where the dentine shows through."""
_TURN_POWER: Final = 4
"""Exponent with which the arch turns away from the light: the front teeth are lit evenly."""
_TURN_SHARE: Final = 0.50
"""Share of the light on the teeth that is lost where the arch turns away."""
_GUM_TURN_SHARE: Final = 0.6
"""The same share for the gum."""
_LOWER_BOUNCE: Final = 0.25
"""Share of the flesh's colour in the lower teeth, which tongue and lip light from all sides."""
_BLUR_TEXELS: Final = 1.2
"""Standard deviation of the final blur, which removes aliasing of the painted edges."""


def upper_teeth(palette: Palette) -> Strip:
    """Return the upper teeth with their gum; the incisal edge of the central incisors is at 0."""
    return _paint_arch(palette, _UPPER)


def lower_teeth(palette: Palette) -> Strip:
    """Return the lower teeth with their gum; the incisal edge is at 0."""
    enamel = (1.0 - _LOWER_BOUNCE) * palette.enamel + _LOWER_BOUNCE * palette.mucosa
    return _paint_arch(replace(palette, enamel=enamel.astype(np.float32)), _LOWER)


def _paint_arch(palette: Palette, arch: _Arch) -> Strip:
    u, away = strip_axes(arch.length + _GUM_HEIGHT)  # away: from the incisal edge towards the gum
    side = np.abs(u)
    across, shorter = _tooth_positions(arch, side)
    edge = away - shorter - _edge_rounding(arch, across)
    turn = 1.0 / (1.0 + (side / arch.turn) ** _TURN_POWER)
    colour = _lit_enamel(palette.enamel, arch, _Position(across, edge, away, turn))
    gum_line = arch.length * (_GUM_LINE - _GUM_ARCH * np.abs(across) ** _GUM_ARCH_POWER)
    gum = smooth_edge(away - gum_line, _GUM_HALF_WIDTH)[..., None]
    gum_light = ((1.0 - _GUM_TURN_SHARE) + _GUM_TURN_SHARE * turn)[..., None]
    colour = colour * (1.0 - gum) + palette.gum * gum_light * gum
    reach = smooth_edge(arch.reach - side, arch.reach_half_width)
    alpha = smooth_edge(edge, _EDGE_HALF_WIDTH) * reach * np.ones_like(edge)
    image = np.concatenate([colour * alpha[..., None], alpha[..., None]], axis=-1).astype(np.float32)
    image = cv2.GaussianBlur(image, (0, 0), _BLUR_TEXELS)
    return Strip(image[::-1].copy(), -(arch.length + _GUM_HEIGHT)) if arch.upward else Strip(image, 0.0)


def _tooth_positions(arch: _Arch, side: Float32Array) -> tuple[Float64Array, Float64Array]:
    """Return, for each column (1, w): the position across its tooth, -1 to 1, and how far its edge is set back."""
    index = np.clip(np.searchsorted(np.asarray(arch.edges[1:]), side[0]), 0, len(arch.lengths) - 1)
    inner, outer = np.asarray(arch.edges)[index], np.asarray(arch.edges)[index + 1]
    across = ((side[0] - inner) / (outer - inner) * 2.0 - 1.0)[None, :]
    shorter = (1.0 - np.asarray(arch.lengths)[index])[None, :] * _SHORTER_AT_EDGE * arch.length
    return across, shorter


def _edge_rounding(arch: _Arch, across: Float64Array) -> Float64Array:
    corners = _CORNER_ROUNDING * np.abs(across) ** _CORNER_POWER
    outer = _OUTER_ROUNDING * np.maximum(across, 0.0) ** 2
    rounding: Float64Array = arch.rounding * (corners + outer)
    return rounding


def _lit_enamel(enamel: Float32Array, arch: _Arch, position: _Position) -> Float64Array:
    """Return the RGB levels (h, w, 3) of the enamel of colour ``enamel`` (3,)."""
    across, edge, away, turn = position
    gap = 1.0 - _GAP_SHADE * _GAP_PROFILE(1.0 - np.abs(across)) * smooth_edge(edge, _GAP_HALF_WIDTH)
    form = 1.0 - _SIDE_SHADE * np.abs(across) ** _SIDE_POWER
    tip = 1.0 - _TIP_SHADE * _TIP_PROFILE(edge)
    neck = np.clip(away / arch.length, 0.0, 1.0)
    light = gap * form * tip * ((1.0 - _TURN_SHARE) + _TURN_SHARE * turn) * (1.0 - _NECK_SHADE * neck**2)
    warmth = 1.0 - np.array(_NECK_WARMTH_RGB, np.float32) * (neck**2)[..., None]
    lit: Float64Array = enamel * light[..., None] * warmth
    return lit
