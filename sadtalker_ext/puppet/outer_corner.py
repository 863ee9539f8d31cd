"""The outer corner of a closing eye: it moves down, and the skin of the upper lid covers the lashes above it.

Places ``u`` are half eye widths from the eye's middle, positive towards the outer corner; heights ``v`` are pixels of
the picture along the eye's axis, positive downwards.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sadtalker_ext.puppet.backend_array import BackendArray
    from sadtalker_ext.puppet.eyelids import Lids

_DROP: Final = 0.27
"""Distance by which the corner moves down in a complete blink, in openings. In 26 blinks of real speakers, tracked
landmarks of the outer corners move down by 2.5 % of the distance between both."""
_DROP_FADE: Final = (1.33, 0.33)
"""Place beyond the corner at which skin stays, and the width of the transition to it."""

_COVER: Final = 0.8
"""Share of smooth skin above the corner in a complete blink; some of the lashes and their shadow remains."""
_COVER_FROM: Final = (0.58, 0.3)
_COVER_FADE: Final = (1.3, 0.25)
"""Place at which it begins and the width of its rise, place at which it has ended and the width of its fall."""
_COVER_ABOVE: Final = 0.6
_COVER_RISE: Final = 0.3
"""Height of the covered skin above the upper lid, and the width of its upper transition, in half eye widths."""
_COVER_EDGE: Final = 0.08
_COVER_END: Final = 0.02
"""Width of its transition to the lid's edge, and the distance of its middle from that, in half eye widths."""

_WING_COVER: Final = 0.85
_WING_FROM: Final = (0.9, 0.22)
_WING_HEIGHT: Final = 0.2
"""Share of smooth skin over the end of the lash line beyond the corner, where it begins and the width of its rise, and
half the height of the covered strip, in half eye widths. The skin beyond stays: the line would bend upwards there."""


def lower_outer_corner(lids: Lids, u: BackendArray, travel_px: float, xp: ModuleType) -> Lids:
    """Return ``lids`` with the outer corner moved down; travel_px: opening of the eye times blink."""
    drop = outer_drop(u, travel_px, xp)
    return lids._replace(upper_now=lids.upper_now + drop, lower_now=lids.lower_now + drop)


def outer_drop(u: BackendArray, travel_px: float, xp: ModuleType) -> BackendArray:
    """Return how far both lids move down at ``u``, in pixels; travel_px: opening of the eye times blink."""
    end, fade = _DROP_FADE
    return _DROP * travel_px * _smooth_step(u, xp) * _smooth_step((end - u) / fade, xp)


def outer_cover(v: BackendArray, lids: Lids, u: BackendArray, half_px: float, xp: ModuleType) -> BackendArray:
    """Return the share of smooth skin that covers the lashes above and beside the outer corner in a complete blink."""
    (start, rise), (end, fade) = _COVER_FROM, _COVER_FADE
    aside = _smooth_step((u - start) / rise, xp) * _smooth_step((end - u) / fade, xp)
    above = _smooth_step((v - lids.upper + _COVER_ABOVE * half_px) / (_COVER_RISE * half_px), xp)
    edge_px = _COVER_EDGE * half_px
    below = xp.clip((lids.upper_now - _COVER_END * half_px - v) / edge_px + 0.5, 0.0, 1.0)
    (start, rise), line_px = _WING_FROM, _WING_HEIGHT * half_px
    beyond = _smooth_step((u - start) / rise, xp) * _smooth_step((end - u) / fade, xp)
    line = xp.exp(-(((v - lids.upper_now) / line_px) ** 2))
    return xp.maximum(_COVER * aside * above * below, _WING_COVER * beyond * line)


def _smooth_step(x: BackendArray, xp: ModuleType) -> BackendArray:
    """Return 0 below 0, 1 above 1 and a smooth transition between."""
    x = xp.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
