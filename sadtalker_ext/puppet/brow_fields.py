"""Displacement fields of the brows: a band that follows both brows and fades into the lids and the forehead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet.profiles import Falloff

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

_FOREHEAD: Final = Falloff(0.13)
_LIDS: Final = Falloff(0.042)
"""Falloff above and below the brow line, in face heights; short below, so that the lids stay."""
_ENDS: Final = Falloff(1.08, power=6)
"""Falloff along the brows, in half brow spans from the middle: flat over both brows, steep at the temples."""
_FROWN: Final = Falloff(0.3, centre=0.3)
"""Where the brows draw together, in half brow spans from the middle: their inner ends."""
_FROWN_MIDDLE: Final = Falloff(0.12)
"""The strip between the brows that stays where it is, in half brow spans; without it the sides would meet in a fold."""
_ARCH: Final = Falloff(0.6, centre=0.55)
"""The middle of each brow, in half brow spans, which rises most."""
_ARCH_SHARE: Final = 0.45
"""Share of the rise that has the profile of the arch; the rest lifts the whole brow."""
_RAISE: Final = 0.041
"""Rise of the brows at brows_up = 1, in face heights."""
_LOWER: Final = 0.0215
"""Drop of the brows at brows_down = 1, in face heights."""
_DRAW_TOGETHER: Final = 0.014
"""Travel of each inner brow end towards the middle at brows_down = 1, in face heights."""
_MIN_HALF_SPAN_PX: Final = 1.0
"""Smallest half brow span, pixels; keeps the division finite for tiny faces."""


def brow_fields(face: FaceGeometry, points: Float64Array) -> dict[str, Float64Array]:
    """Return brows_up and brows_down at ``points`` (..., 2), each (..., 2) pixels per unit weight."""
    unit = face.height_px
    t, v = face.axes.local(points)
    brow_t, brow_v = face.axes.local(face.brows)
    order = np.argsort(brow_t)
    line = np.interp(t, brow_t[order], brow_v[order])
    distance = (v - line) / unit
    band = np.where(distance < 0.0, _FOREHEAD(distance), _LIDS(distance))
    half_span = max((brow_t.max() - brow_t.min()) / 2.0, _MIN_HALF_SPAN_PX)
    middle = (t - (brow_t.min() + brow_t.max()) / 2.0) / half_span
    aside = np.abs(middle)
    across = _ENDS(aside)
    frown = _FROWN(aside) * np.sign(middle) * (1.0 - _FROWN_MIDDLE(middle))
    down, along = face.axes.down, face.axes.along
    up = -_RAISE * (band * across * ((1.0 - _ARCH_SHARE) + _ARCH_SHARE * _ARCH(aside)))[..., None] * down
    lower = _LOWER * (band * across)[..., None] * down - _DRAW_TOGETHER * (band * frown)[..., None] * along
    return {"brows_up": up * unit, "brows_down": lower * unit}
