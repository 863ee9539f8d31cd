"""The mouth interior: painted cavity, tongue and teeth, and the portrait's own interior where it shows one.

Distances are face heights, positions along the mouth (u) half mouth widths, light a factor of the colour's level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sadtalker_ext.puppet.own_interior import OWN_BEGIN
from sadtalker_ext.puppet.strips import ALPHA, RGB

if TYPE_CHECKING:
    from sadtalker_ext.puppet.backend_array import BackendArray
    from sadtalker_ext.puppet.imaging import Imaging, Texture
    from sadtalker_ext.puppet.mouth import Mouth
    from sadtalker_ext.puppet.mouth_maps import MouthMaps, MouthState

# Cavity.
_MUCOSA_REACH: Final = 0.022
"""Distance from the nearer lip at which the lit inner side of lips and cheeks has faded to 1/e towards the throat."""
_PALATE_DEPTH: Final = 0.10
_PALATE_SHARE: Final = 0.30
"""Distance below the upper lip at which the cavity is fully lit, and the share of light that is missing above."""

# Tongue, lower and upper teeth.
_TONGUE_RISE: Final = 0.030
"""Rise of the tongue above the lower lip's place when the jaw is closed."""
_TONGUE_JAW_SHARE: Final = 0.40
"""Share of the jaw's drop by which the tongue stays behind the jaw."""
_TONGUE_LIGHT: Final = 0.92
_LOWER_TEETH_RISE: Final = 0.005
"""Rise of the lower teeth's edge above the lower lip's place when the jaw is closed."""
_LOWER_TEETH_LIGHT: Final = 0.82
"""Light on the lower teeth, which the upper ones and the lip shade."""
_ARCH_BOW: Final = 0.010
"""Rise of the upper teeth's edge at the mouth corners: the dental arch recedes in perspective."""
_UPPER_TEETH_LIGHT: Final = 1.04
_WIDE_SHOWS: Final = 0.020
_WIDE_FROM: Final = 0.08
_WIDE_WHOLE: Final = 0.16
"""What wide openings add to the visible height of the upper teeth, from which opening and where in full, face heights:
the upper lip rises when the jaw pulls the corners down. Own teeth of the portrait have their height already."""

_PUCKER_SHADE: Final = 0.25
"""Light that the teeth lose when rounded lips stand out in front of them."""

# Shadows.
_UPPER_LIP_SHADOW: Final = 0.30
_LOWER_LIP_SHADOW: Final = 0.22
_SHADOW_LENGTH: Final = 0.010
"""Depth of the shadows of both lips on the interior, and the distance at which they have fallen to 1/e."""
_NARROW_SHADOW: Final = 0.36
_NARROW_GAP: Final = 0.032
"""Light that the interior loses where the lips nearly touch, and the distance between them, face heights, at which the
loss has fallen to 1/e: little light falls through a narrow gap."""
_SMILE_LIGHTS: Final = 0.6
"""Share of the lips' shadows that is missing in a smile, which draws the lips back to the teeth."""
_TUCK_LIGHTS: Final = 0.7
_TUCK_WHOLE: Final = 0.02
"""Share of the lips' shadows that is missing in f and v, where the lower lip lies at the edge of the upper teeth, and
the height of the rolled-in lip, face heights, from which on it is missing in full."""
_SIDE_SHADOW: Final = 0.50
_SIDE_SHADOW_U: Final = 0.90
_SIDE_SHADOW_HALF_WIDTH: Final = 0.30
"""Depth of the shadow in the mouth corners, the position where it is half as deep, and half the width of its edge."""
_SMILE_NARROWS: Final = 0.16
_SMILE_DEEPENS: Final = 0.15
"""What a smile takes away from that half width and adds to the depth: cheeks that are drawn back let light fall on the
side teeth, and leave a dark space beside them."""
_SMILE_SIDES: Final = 0.45
_SMILE_FROM: Final = 0.35
_SMILE_WHOLE: Final = 0.80
"""Light that a smile adds to the side teeth, and the positions from which it does and where it adds all of it."""

# The lips' inner side.
_RIM_REACH: Final = 0.0065
"""Distance from the edge of a lip, face heights, at which its visible inner side has faded to 1/e. The inner side turns
away from the light gradually; where it ends abruptly, a wide mouth has a light outline."""
_RIM_SLOPE: Final = 7.0
"""Growth of that distance, which is vertical, where the edge is steep, per opening (face heights) and lip_u."""
_RIM_FROM: Final = 0.45
_RIM_WHOLE: Final = 0.7
"""Positions along the lips, half mouth widths, from which lips turn their inner side outwards and where it is whole."""
_RIM_OPENED: Final = 0.20
"""Opening, face heights, at which the inner side is whole."""

# The portrait's own interior.
_OWN_MOVED: Final = 0.025
"""Opening or closing at which the painted interior has replaced everything but the portrait's own teeth."""
_OWN_RETREAT: Final = 0.010
"""Distance above the lower lip's place at which the own teeth end once the mouth moves; their true edge is not
visible."""
_OWN_TOP_MARGIN: Final = 2.0
"""Margin at rest, in widths of the lip edge, by which teeth that reach the lower lip extend behind the upper lip."""
_OWN_EDGE: Final = 1.6
_OWN_EDGE_MOVED: Final = 0.004
"""Half width of the lower border of the own interior: in widths of the lip edge at rest, and what motion adds."""
_OWN_BOTTOM_MARGIN: Final = 3.0
"""Margin at rest, in widths of the lip edge, by which the own interior extends behind the lower lip."""


def draw_interior(mouth: Mouth, picture: Texture, maps: MouthMaps, state: MouthState, imaging: Imaging) -> BackendArray:
    """Return the levels (h, w, 3) of the interior.

    From back to front: cavity, tongue, lower teeth, upper teeth, and the portrait's own teeth.
    """
    xp = imaging.xp
    u = (maps.skull_u + state.parallax_u) * mouth.teeth_scale
    upper = maps.skull_from_upper + state.parallax_down
    lower = maps.skull_from_lower + state.parallax_down - state.jaw
    below_upper = xp.clip(maps.from_upper_lip + state.roll_upper, 0.0, 1.0)
    above_lower = xp.clip(state.roll_lower - maps.from_lower_lip, 0.0, 1.0)
    colour = _cavity(mouth, maps, xp.minimum(below_upper, above_lower), imaging)
    tongue_v = lower + _TONGUE_RISE + _TONGUE_JAW_SHARE * max(state.jaw, 0.0)
    tongue_light = _TONGUE_LIGHT if mouth.shading else 1.0
    colour = _draw_strip(mouth.tongue, (u, tongue_v), colour, tongue_light, imaging)
    shade = 1.0 - _PUCKER_SHADE * state.pucker
    lower_v = lower + _LOWER_TEETH_RISE
    colour = _draw_strip(mouth.lower_teeth, (u, lower_v), colour, _LOWER_TEETH_LIGHT * shade, imaging)
    wide = min(max((state.opened - _WIDE_FROM) / (_WIDE_WHOLE - _WIDE_FROM), 0.0), 1.0)
    edge = mouth.upper_edge + _WIDE_SHOWS * wide * (1.0 - mouth.visible_teeth)
    upper_v = upper - edge + _ARCH_BOW * u * u
    side = xp.clip((xp.abs(u) - _SMILE_FROM) / (_SMILE_WHOLE - _SMILE_FROM), 0.0, 1.0)
    light = (_UPPER_TEETH_LIGHT * shade) * (1.0 + _SMILE_SIDES * state.smile * side)[..., None]
    colour = _draw_strip(mouth.upper_teeth, (u, upper_v), colour, light, imaging)
    if mouth.shading:
        tucked = min(max(state.roll_lower / _TUCK_WHOLE, 0.0), 1.0)
        depth = (1.0 - _SMILE_LIGHTS * state.smile) * (1.0 - _TUCK_LIGHTS * tucked)
        colour = colour * _shadows(maps, (below_upper, above_lower), (depth, state.smile), imaging)[..., None]
    rim = _rim_share(mouth, maps, state, xp.minimum(below_upper, above_lower), imaging)[..., None]
    colour = colour + (imaging.array(mouth.palette.rim) - colour) * rim
    if mouth.gap <= 0.0:
        return colour
    own = imaging.to_float(imaging.sample(picture, maps.own_points))
    share = _own_share(mouth, maps, state, imaging)[..., None]
    return own * share + colour * (1.0 - share)


def _cavity(mouth: Mouth, maps: MouthMaps, from_lip: BackendArray, imaging: Imaging) -> BackendArray:
    """Return the levels (h, w, 3) behind teeth and tongue: lit mucosa at the lips, darker towards the throat.

    from_lip: (h, w) distance from the nearer lip.
    """
    xp = imaging.xp
    if not mouth.shading:
        return imaging.array(mouth.palette.cavity) + 0.0 * from_lip[..., None]
    lit = xp.exp(-from_lip / _MUCOSA_REACH)[..., None]
    below = xp.clip(maps.skull_from_upper / _PALATE_DEPTH, 0.0, 1.0)
    depth = ((1.0 - _PALATE_SHARE) + _PALATE_SHARE * below)[..., None]
    return imaging.array(mouth.palette.mucosa) * lit + imaging.array(mouth.palette.cavity) * (depth * (1.0 - lit))


def _shadows(
    maps: MouthMaps, from_lips: tuple[BackendArray, BackendArray], strength: tuple[float, float], imaging: Imaging
) -> BackendArray:
    """Return the light (h, w) that the lips and the mouth corners leave on the interior.

    from_lips: distances (h, w) below the upper and above the lower lip. strength: share of the shadows of the lips, and
    the smile, 0 to 1.
    """
    xp, (depth, smile) = imaging.xp, strength
    upper = depth * _UPPER_LIP_SHADOW * xp.exp(-from_lips[0] / _SHADOW_LENGTH)
    lower = depth * _LOWER_LIP_SHADOW * xp.exp(-from_lips[1] / _SHADOW_LENGTH)
    side = imaging.smooth_edge(xp.abs(maps.skull_u) - _SIDE_SHADOW_U, _SIDE_SHADOW_HALF_WIDTH - _SMILE_NARROWS * smile)
    narrow = depth * _NARROW_SHADOW * xp.exp(-(from_lips[0] + from_lips[1]) / _NARROW_GAP)
    return (1.0 - upper - lower) * (1.0 - (_SIDE_SHADOW + _SMILE_DEEPENS * smile) * side) * (1.0 - narrow)


def _rim_share(
    mouth: Mouth, maps: MouthMaps, state: MouthState, from_lip: BackendArray, imaging: Imaging
) -> BackendArray:
    """Return the share (h, w) of the lips' inner side, which shows at the sides of a wide mouth, or of a drawn line.

    from_lip: (h, w) distance from the nearer lip. Lips are thin at the sides, and stretched skin is not red.
    """
    xp = imaging.xp
    if not mouth.shading:
        return xp.clip(1.5 - from_lip / max(mouth.line, mouth.edge), 0.0, 1.0) if mouth.line else 0.0 * from_lip
    side, opened = xp.abs(maps.lip_u), max(state.opened, 0.0)
    turned = xp.clip((side - _RIM_FROM) / (_RIM_WHOLE - _RIM_FROM), 0.0, 1.0) * min(opened / _RIM_OPENED, 1.0)
    reach = _RIM_REACH * (1.0 + _RIM_SLOPE * opened * side)
    return turned * xp.exp(-((from_lip / reach) ** 2))


def _own_share(mouth: Mouth, maps: MouthMaps, state: MouthState, imaging: Imaging) -> BackendArray:
    """Return the share (h, w) of the portrait's own interior: all at rest, only its teeth when the mouth moves."""
    moved = min(max(state.opened / _OWN_MOVED, 0.0), 1.0)
    edge, still = mouth.edge, 1.0 - moved
    retreated = maps.skull_from_lower + _OWN_RETREAT * moved - _OWN_BOTTOM_MARGIN * edge * still
    above_edge = 1.0 - imaging.smooth_edge(retreated, _OWN_EDGE * edge + _OWN_EDGE_MOVED * moved)
    share = above_edge * (1.0 - moved * (1.0 - mouth.visible_teeth))
    if mouth.own_teeth_end is None:
        raised = min(state.raised, OWN_BEGIN)
        from_top = maps.skull_from_upper - raised + _OWN_TOP_MARGIN * edge * still
        return share * imaging.smooth_edge(from_top, edge + 0.5 * raised)
    below_teeth = maps.skull_from_upper - mouth.own_teeth_end
    return share * (1.0 - moved * imaging.smooth_edge(below_teeth, _OWN_EDGE * edge))


def _draw_strip(
    strip: Texture,
    at: tuple[BackendArray, BackendArray],
    behind: BackendArray,
    light: float | BackendArray,
    imaging: Imaging,
) -> BackendArray:
    """Return ``strip`` over ``behind``; ``at``: u, and the distance (face heights) below the strip's zero line."""
    levels = imaging.sample_strip(strip, *at)
    return levels[..., RGB] * light + behind * (1.0 - levels[..., ALPHA])
