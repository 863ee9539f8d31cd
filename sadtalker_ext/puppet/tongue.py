"""The painted tongue, as a strip in the portrait's own light and colours.

Lengths are face heights, positions across are half mouth widths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.profiles import Falloff, smooth_edge
from sadtalker_ext.puppet.strips import Strip, strip_axes

if TYPE_CHECKING:
    from sadtalker_ext.puppet.strips import Palette

_HEIGHT: Final = 0.16
"""Height of the strip."""
_OUTLINE_DROP: Final = 0.05
_OUTLINE_WIDTH: Final = 0.72
_OUTLINE_POWER: Final = 2.6
"""The outline drops by this at this distance from the middle, along a power curve: a flat mound with steep sides."""
_TOP: Final = 0.004
_TOP_HALF_WIDTH: Final = 0.010
"""Distance of the soft upper edge below the outline, and half its width."""
_SIDE: Final = 0.9
_SIDE_HALF_WIDTH: Final = 0.15
"""Position of the soft sides, and half their width."""
_FURROW_SHADE: Final = 0.16
_FURROW: Final = Falloff(0.07)
_FURROW_FADE: Final = 0.05
"""Darkening of the middle furrow, its falloff to the sides, and the depth below the outline at which it is whole."""
_TIP_SHADE: Final = 0.45
_TIP_FADE: Final = 0.045
"""Darkening of the upper edge, which curves away from the light, and the depth below the outline at which it ends."""
_SIDE_SHADE: Final = 0.35
"""Darkening at one half mouth width to the side."""
_SHINE_LEVEL: Final = 26.0
"""Level of the wet highlights, 0 to 255, next to white enamel."""
_SHINE_ACROSS: Final = Falloff(0.16, centre=0.2)
_SHINE_DOWN: Final = Falloff(0.014, centre=0.045)
"""Position and size of the highlights on both sides of the furrow, across and below the outline."""
_WHITE_LEVEL: Final = 255.0
_BLUR_TEXELS: Final = 2.0
"""Standard deviation of the final blur."""


def tongue(palette: Palette) -> Strip:
    """Return the tongue's upper surface, a soft mound; its highest point is at 0."""
    u, depth = strip_axes(_HEIGHT)
    inside = depth - _OUTLINE_DROP * (np.abs(u) / _OUTLINE_WIDTH) ** _OUTLINE_POWER
    alpha = smooth_edge(inside - _TOP, _TOP_HALF_WIDTH) * smooth_edge(_SIDE - np.abs(u), _SIDE_HALF_WIDTH)
    furrow = 1.0 - _FURROW_SHADE * _FURROW(u) * np.clip(inside / _FURROW_FADE, 0.0, 1.0)
    tip = (1.0 - _TIP_SHADE) + _TIP_SHADE * np.clip(inside / _TIP_FADE, 0.0, 1.0)
    light = furrow * tip * (1.0 - _SIDE_SHADE * np.abs(u) ** 2)
    shine = _SHINE_LEVEL * _SHINE_ACROSS(np.abs(u)) * _SHINE_DOWN(inside)
    colour = palette.tongue * light[..., None]
    colour = colour + (shine * float(palette.enamel.mean()) / _WHITE_LEVEL)[..., None]
    image = np.concatenate([colour * alpha[..., None], alpha[..., None]], axis=-1)
    return Strip(cv2.GaussianBlur(image.astype(np.float32), (0, 0), _BLUR_TEXELS), 0.0)
