"""Compositing of the mouth: two lips that part over the interior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sadtalker_ext.puppet.mouth_interior import draw_interior
from sadtalker_ext.puppet.profiles import Falloff

if TYPE_CHECKING:
    from sadtalker_ext.puppet.backend_array import BackendArray
    from sadtalker_ext.puppet.imaging import Imaging, Texture
    from sadtalker_ext.puppet.mouth import Mouth
    from sadtalker_ext.puppet.mouth_maps import MouthMaps, MouthState
    from sadtalker_ext.puppet.warp import Window

_ROLL_GAIN: Final = 1.15
"""Rise of the profile ``1 - u^2`` along which lips roll in, clipped to 1: the middle rolls in evenly."""
_AJAR: Final = 0.03
"""Opening, in face heights, at which the rim of the lips has its full shade."""
_AJAR_GAIN: Final = 2.0
"""Rise of the profile ``1 - u^2`` of that shade, clipped to 1: it fades only near the corners."""
_RIM_SHADE: Final = 0.08
"""Darkening of the upper lip's rim, where it curves inwards."""
_LOWER_RIM_SHARE: Final = 0.6
"""Darkening of the lower lip's rim, which light reaches from above, as a share of the upper one's."""
_UPPER_RIM: Final = Falloff(0.011)
_LOWER_RIM: Final = Falloff(0.008)
"""Falloff of the rims away from the lip edges, in face heights."""
_CORNER_U: Final = 1.06
_CORNER_FADE: Final = 0.03
"""Position along the lips, in half mouth widths, at which the gap has faded out, and the width of the fade; both lips
cover what it leaves. It is outside the corners: what a lip has beyond its edge is a light speck in a wide mouth."""
_EDGE_SLOPE: Final = 8.0
"""Slope of a lip's edge, per opening (face heights) and lip_u: by how much more than 1 vertical distances from the edge
of a wide mouth exceed distances across it."""
_MIN_GAP: Final = 0.004
"""Coverage below which the interior is not drawn; a single level of 255 corresponds to this."""


def compose_mouth(mouth: Mouth, picture: Texture, maps: MouthMaps, state: MouthState, imaging: Imaging) -> BackendArray:
    """Return the levels (h, w, 3) of the mouth box: lips over interior."""
    xp = imaging.xp
    lens = xp.clip(_ROLL_GAIN * (1.0 - maps.lip_u**2), 0.0, 1.0)
    from_upper = maps.from_upper_lip + state.roll_upper * lens
    from_lower = maps.from_lower_lip - state.roll_lower * lens
    steep = 1.0 + (_EDGE_SLOPE * max(state.opened, 0.0)) * xp.abs(maps.lip_u)
    above = 1.0 - imaging.smooth_edge(from_upper / steep, mouth.edge)
    below = xp.minimum(imaging.smooth_edge(from_lower / steep, mouth.edge), 1.0 - above)
    ajar = min(max(state.opened / _AJAR, 0.0), 1.0) * xp.clip(_AJAR_GAIN * (1.0 - maps.lip_u**2), 0.0, 1.0)
    rim = _RIM_SHADE * mouth.shading * ajar
    upper_rim = 1.0 - rim * _UPPER_RIM.evaluate(xp.clip(from_upper, -1.0, 0.0), xp)
    lower_rim = 1.0 - _LOWER_RIM_SHARE * rim * _LOWER_RIM.evaluate(xp.clip(from_lower, 0.0, 1.0), xp)
    uncovered = 1.0 - above - below
    open_share = (1.0 - state.sealed) * xp.clip((_CORNER_U - xp.abs(maps.lip_u)) / _CORNER_FADE, 0.0, 1.0)
    gap = uncovered * open_share
    joint = 0.5 * (uncovered - gap)
    upper = imaging.to_float(imaging.sample(picture, maps.upper_points)) * (upper_rim * (above + joint))[..., None]
    lower = imaging.to_float(imaging.sample(picture, maps.lower_points)) * (lower_rim * (below + joint))[..., None]
    levels = upper + lower
    hole = _bounds(gap > _MIN_GAP)
    if hole is not None:
        inside = draw_interior(mouth, picture, maps.window(hole), state, imaging)
        levels[hole] = levels[hole] + inside * gap[hole][..., None]
    return levels


def _bounds(flags: BackendArray) -> Window | None:
    """Return the smallest window (rows, columns) that contains every set flag, or None."""
    rows, columns = flags.any(1).nonzero(), flags.any(0).nonzero()
    rows, columns = (found[0] if isinstance(found, tuple) else found[:, 0] for found in (rows, columns))
    if len(rows) == 0:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
