"""Colours along the line where closed lids meet: those of skin, without the eyeball's edge.

Landmarks of the lids differ from the picture by a few per cent of the eye's width, so that the edge of each lid moves
with a strip of the eyeball. On closed lids, it would show as a bluish or a white line.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sadtalker_ext.puppet.backend_array import BackendArray

_ABOVE: Final = (0.03, 0.07)
_BELOW: Final = (0.1, 0.14)
"""Distances above and below the upper lid's edge up to which colours are those of skin, and the widths of the
transitions beyond, in half eye widths."""
_END: Final = 1.0
_END_FADE: Final = 0.25
"""Distance from the eye's middle at which this has ended, and the width of the transition, in half eye widths."""
_MIN_LEVEL: Final = 1.0
"""Smallest level of the skin by which levels are divided."""


def recolour_seam(
    skin: BackendArray, smooth: BackendArray, place: tuple[BackendArray, BackendArray], blink: float, xp: ModuleType
) -> BackendArray:
    """Return the levels ``skin`` (h, w, 3), near the seam with the colour of ``smooth`` and no lighter than that.

    place: (h, w) each, from the eye's middle and below the edge of the upper lid, in half eye widths.
    """
    u, distance = place
    (above, rise), (below, fall) = _ABOVE, _BELOW
    near = xp.clip((distance + above + rise) / rise, 0.0, 1.0) * xp.clip((below + fall - distance) / fall, 0.0, 1.0)
    near = near * xp.clip((_END - xp.abs(u)) / _END_FADE, 0.0, 1.0)
    usual = xp.clip(smooth.sum(-1), _MIN_LEVEL, 3.0 * 255.0)
    darker = xp.clip(skin.sum(-1) / usual, 0.0, 1.0)
    share = (blink * near)[..., None]
    return skin * (1.0 - share) + smooth * darker[..., None] * share
