"""The interior of the mouth: a closed cavity behind the lips, two rows of teeth, and the tongue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.mesh.parts import Part, Tile
from sadtalker_ext.mesh.topology import LOWER_EDGE, UPPER_EDGE, closed_ring_triangles, grid_triangles
from sadtalker_ext.puppet.drawn_mouth import drawn_tongue
from sadtalker_ext.puppet.expression_fields import JAW_DROP
from sadtalker_ext.puppet.mouth_fields import UPPER_LIP_CLOSES
from sadtalker_ext.puppet.profiles import smooth_ramp
from sadtalker_ext.puppet.strips import ACROSS, TEXELS_PER_HEIGHT
from sadtalker_ext.puppet.teeth import lower_teeth, upper_teeth
from sadtalker_ext.puppet.tongue import tongue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float64Array, Image
    from sadtalker_ext.mesh.skin import Relief
    from sadtalker_ext.puppet.rig import Rig
    from sadtalker_ext.puppet.strips import Strip


class _Ring(NamedTuple):
    """A ring of the cavity.

    out: distance from the opening's edge, away from its middle. back: distance behind edge and skin. follow: share of
    the lip's motion. colour: 0 at the lips, 1 in the throat. Lengths in face heights.
    """

    out: float
    back: float
    follow: float
    colour: float


_RINGS: Final = (
    _Ring(0.0, 0.0, 1.0, 0.0),
    _Ring(0.004, 0.014, 1.0, 0.15),
    _Ring(0.016, 0.055, 0.9, 0.45),
    _Ring(0.012, 0.13, 0.6, 0.8),
    _Ring(-0.05, 0.17, 0.4, 1.0),
)
_GRADIENT: Final = (64, 8)
"""Height and width of the cavity's tile, texels."""
_COLUMNS: Final = 25
_ROWS: Final = 5
"""Vertices across and down a row of teeth or the tongue."""
_MIN_BEHIND_SKIN: Final = 0.016
"""Smallest distance of teeth and tongue behind the skin, in face heights."""
_MIN_DEPTH: Final = 0.2
_MOST_ASIDE: Final = 0.8
"""Smallest depth from the lips to the jaw's hinge (face heights), and the largest motion sideways per motion back."""
_LIGHT: Final = 0.92
"""Light on the upper teeth relative to the painted strips, which the lips shade."""
_LOWER_TEETH_LIGHT: Final = 0.4
_TONGUE_LIGHT: Final = 0.55
_CAVITY_LIGHT: Final = 0.35
"""Light on the lower teeth, the tongue and the cavity relative to the painted colours, which are those in the light of
the skin. Lit flesh has nearly the colour of the lips: a tracker of the lips, and a viewer, then takes the inside of the
mouth for a part of them."""
_BOUNCE: Final = 0.3
"""Colour of shaded teeth at no light, relative to that of the cavity: what shades them is red, not grey."""
_SIDES_FROM: Final = 0.57
"""Share of their reach from which the teeth fade into the dark behind the corners of the mouth."""
_LIP_SHADOW: Final = (0.6, 0.8)
_SHADOW_LENGTH: Final = (0.015, 0.022)
"""Depth of the upper lip's shadow on the teeth at the edge of the lip, and the distance below it, in face heights, at
which the shadow has fallen to 1/e: of a portrait that hides its teeth, and of one that shows them. An opening as small
as this shows teeth in the shadow only, as in a photograph; teeth that a smile shows are longer."""
_LOWER_TEETH_PLACE: Final = 0.004
"""Distance of the lower teeth's edge below the lower lip at rest, in face heights: higher ones touch the upper teeth in
small openings, which then show no gap. The renderer of the portrait shades such openings instead."""
_UPPER_TEETH_HIDDEN: Final = 0.004
_UPPER_TEETH_SHOW: Final = 0.010
"""Part of the upper teeth that the lip hides at rest, and that appears at jaw_open = 1, in face heights, where the
portrait does not show its teeth. The upper lip rises when the jaw pulls the corners of the mouth down; here the teeth
move instead, as in the renderer of the portrait. Fixed ones would fill small openings or be thin in wide ones."""
_TEETH_FOLLOW: Final = 0.96
_TONGUE_STAYS: Final = 0.40
"""Share of the jaw's drop that the lower teeth follow, and that the tongue stays behind."""


class _Row(NamedTuple):
    """A row of teeth or the tongue.

    top, bottom: the part of the strip that is shown. place: of the strip's zero below the edge of the lip. back: behind
    the lips in the middle; bow: how much deeper at half a mouth width; rise: at half a mouth width. follow: share of
    the jaw's motion. reach: to both sides, in half mouth widths. Other lengths in face heights.
    """

    strip: Strip
    top: float
    bottom: float
    place: float
    back: float
    bow: float
    rise: float
    follow: float
    reach: float = 0.88


def mouth_cavity_part(rig: Rig, skin: Part, relief: Relief) -> tuple[Part, Tile]:
    """Return the closed cavity behind the opening of the lips; its rim moves exactly as the lips do."""
    unit = rig.face.height_px
    loop = [*UPPER_EDGE, *LOWER_EDGE[-2:0:-1]]
    edge = skin.points[loop]
    middle = edge.mean(axis=0)
    outward, backward = _outward(rig, edge), _backward(rig, skin.points, relief)
    rings = []
    for ring in _RINGS:
        points = edge.copy()
        points[:, :2] += ring.out * unit * outward
        if ring.out < 0.0:
            points[:, :2] = middle[:2] + 0.5 * (edge[:, :2] - middle[:2])
        if ring.back:
            points[:, 2] = np.maximum(edge[:, 2], relief.at(points[:, :2])) + ring.back * unit
            points[:, :2] += ring.back * unit * backward
        rings.append(points)
    centre = np.append(middle[:2], rings[-1][:, 2].max())[None]
    targets = {}
    for name, moved in skin.targets.items():
        shift = moved[loop]
        rows = [ring.follow * shift for ring in _RINGS]
        targets[name] = np.concatenate([*rows, _RINGS[-1].follow * shift.mean(axis=0)[None]])
    tile = _gradient(rig)
    height, width = tile.image.shape[:2]
    colours = np.concatenate([np.repeat([ring.colour for ring in _RINGS], len(loop)), [1.0]])
    texels = np.stack([np.full(len(colours), (width - 1) / 2.0), colours * (height - 1)], axis=1)
    points = np.concatenate([*rings, centre])
    triangles = closed_ring_triangles(len(loop), len(rings), np.full(len(loop), len(points) - 1))
    return Part("mouth", points, triangles, "mouth", texels, targets), tile


def _outward(rig: Rig, edge: Float64Array) -> Float64Array:
    """Return unit vectors (N, 2) away from the opening at its edge (N, 3): along the lips at the corners only."""
    mouth = rig.face.mouth
    upper = len(UPPER_EDGE)
    along = np.clip(mouth.normalised(mouth.axes.local(edge[:, :2])[0]), -1.0, 1.0) ** 3
    across = np.sqrt(np.maximum(1.0 - along**2, 0.0))
    across[:upper] *= -1.0
    outward: Float64Array = along[:, None] * mouth.axes.along + across[:, None] * mouth.axes.down
    return outward


def _backward(rig: Rig, skin: Float64Array, relief: Relief) -> Float64Array:
    """Return the motion (2,) in the picture per motion away from the viewer of what goes straight back into the head.

    It is 0 for a face seen from the front, and follows from the place of the lips between the cheeks of a turned one.
    """
    lips = skin[[UPPER_EDGE[len(UPPER_EDGE) // 2], LOWER_EDGE[len(LOWER_EDGE) // 2]]].mean(axis=0)
    way = relief.hinge - lips
    along = rig.face.mouth.axes.along
    share = float(way[:2] @ along) / max(float(way[2]), _MIN_DEPTH * rig.face.height_px)
    backward: Float64Array = np.clip(share, -_MOST_ASIDE, _MOST_ASIDE) * along
    return backward


def _gradient(rig: Rig) -> Tile:
    """Return the colours from the inner side of the lips (top) to the throat (bottom)."""
    height, width = _GRADIENT
    depth = np.linspace(0.0, 1.0, height)[:, None]
    levels = (1.0 - depth) * rig.mouth.palette.mucosa + depth * rig.mouth.palette.cavity
    levels = levels * _inside_light(rig, _CAVITY_LIGHT)
    return Tile(_picture(np.repeat(levels[:, None], width, axis=1)))


def row_parts(rig: Rig, skin: Float64Array, relief: Relief) -> list[tuple[Part, Tile]]:
    """Return the teeth and the tongue; a drawing has only the tongue."""
    palette, mouth = rig.mouth.palette, rig.mouth
    drawn = mouth.shading == 0.0
    mound = drawn_tongue(palette) if drawn else tongue(palette)
    rows = {"tongue": _Row(mound, 0.0, 0.075, -0.012, 0.055, 0.02, 0.0, 1.0 - _TONGUE_STAYS)}
    if not drawn:
        upper, lower = upper_teeth(palette), lower_teeth(palette)
        edge = mouth.upper_edge - _UPPER_TEETH_HIDDEN * (1.0 - mouth.visible_teeth)
        rows["teeth_upper"] = _Row(upper, -0.085, 0.001, edge, 0.020, 0.075, 0.010, 0.0)
        rows["teeth_lower"] = _Row(lower, 0.0, 0.055, _LOWER_TEETH_PLACE, 0.030, 0.075, 0.0, _TEETH_FOLLOW, 0.62)
    return [_row_part(rig, name, row, skin, relief) for name, row in rows.items()]


def _row_part(rig: Rig, name: str, row: _Row, skin: Float64Array, relief: Relief) -> tuple[Part, Tile]:
    face, unit = rig.face, rig.face.height_px
    mouth = face.mouth
    u, s = (
        grid.ravel()
        for grid in np.meshgrid(np.linspace(-row.reach, row.reach, _COLUMNS), np.linspace(row.top, row.bottom, _ROWS))
    )
    t = np.where(u < 0.0, u * mouth.left_px, u * mouth.right_px) / rig.mouth.teeth_scale
    lip = mouth.upper(t) if name == "teeth_upper" else mouth.lower(t)
    v = lip + (s + row.place - row.rise * u * u) * unit
    front = float(skin[[UPPER_EDGE[len(UPPER_EDGE) // 2], LOWER_EDGE[len(LOWER_EDGE) // 2]], 2].min())
    xy = mouth.axes.pixels(t, v)
    depth = front + (row.back + row.bow * u * u) * unit
    depth = np.maximum(depth, relief.at(xy) + (_MIN_BEHIND_SKIN + row.back / 4.0) * unit)
    points = np.concatenate([xy + (depth - front)[:, None] * _backward(rig, skin, relief), depth[:, None]], axis=1)
    tile = _strip_tile(rig, row)
    texels = np.stack([(u + ACROSS) / (2.0 * ACROSS), (s - row.top) / (row.bottom - row.top)], axis=1)
    height, width = tile.image.shape[:2]
    texels = texels * np.array([width - 1.0, height - 1.0])
    part = Part(name, points, grid_triangles(_ROWS, _COLUMNS), name, texels, _row_targets(rig, row, points, relief))
    return part, tile


def _row_targets(rig: Rig, row: _Row, points: Float64Array, relief: Relief) -> dict[str, Float64Array]:
    """Return the displacements of a row that follows the jaw as a solid, or of the upper one.

    Where a smile ends, the upper lip comes down. The upper teeth follow, so that their visible length stays.
    """
    face, unit = rig.face, rig.face.height_px
    down = np.append(face.mouth.axes.down, 0.0)
    if row.follow == 0.0:
        shown = _UPPER_TEETH_SHOW * (1.0 - rig.mouth.visible_teeth) * unit * down
        lowered = UPPER_LIP_CLOSES * rig.mouth.gap * unit * down
        moved = {"jaw_open": shown, "mouth_neutral": lowered}
        return {name: np.tile(shift, (len(points), 1)) for name, shift in moved.items() if shift.any()}
    drop = (points[:, :2] - relief.hinge[:2]) @ face.axes.down / np.maximum(relief.hinge[2] - points[:, 2], 0.25 * unit)
    swing = np.clip(drop, 0.0, 0.6)[:, None] * np.array([0.0, 0.0, 1.0])
    jaw = JAW_DROP * unit * (row.follow * down + swing)
    closing = np.broadcast_to(-row.follow * (1.0 - UPPER_LIP_CLOSES) * rig.mouth.gap * unit * down, points.shape)
    return {"jaw_open": jaw, "mouth_neutral": closing.copy()} if rig.mouth.gap > 0.0 else {"jaw_open": jaw}


def _strip_tile(rig: Rig, row: _Row) -> Tile:
    """Return the visible rows of a strip over the colour of the cavity."""
    begin = max(round((row.top - row.strip.top) * TEXELS_PER_HEIGHT), 0)
    end = begin + max(round((row.bottom - row.top) * TEXELS_PER_HEIGHT), 1)
    image = row.strip.image[begin:end] * _sides(row, row.strip.image.shape[1])[None, :, None]
    light = _light(rig, row, len(image))[:, None, None]
    dark = rig.mouth.palette.cavity * _inside_light(rig, _CAVITY_LIGHT)
    alpha = image[..., 3:]
    levels = light * image[..., :3] + dark * (1.0 - alpha) + _BOUNCE * (1.0 - light) * alpha * rig.mouth.palette.cavity
    scale = min(1.0, 1.5 * rig.face.height_px / TEXELS_PER_HEIGHT)
    size = (max(64, round(levels.shape[1] * scale)), max(16, round(levels.shape[0] * scale)))
    return Tile(
        _picture(np.asarray(cv2.resize(levels.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32))
    )


def _sides(row: _Row, columns: int) -> Float64Array:
    """Return the share (columns,) of a row that is seen from its left to its right side: teeth end in the dark."""
    u = np.abs(np.linspace(-ACROSS, ACROSS, columns))
    return np.ones(columns) if row.follow == 1.0 - _TONGUE_STAYS else 1.0 - smooth_ramp(u / row.reach, _SIDES_FROM, 1.0)


def _light(rig: Rig, row: _Row, rows: int) -> Float64Array:
    """Return the light (rows,) that the lips and the other teeth leave on a row, from its top to its bottom."""
    if row.follow == 0.0:
        below_lip = np.maximum(np.linspace(row.top, row.bottom, rows) + row.place, 0.0)
        shown = rig.mouth.visible_teeth
        depth, length = (float(np.interp(shown, (0.0, 1.0), ends)) for ends in (_LIP_SHADOW, _SHADOW_LENGTH))
        light: Float64Array = _LIGHT * (1.0 - depth * np.exp(-below_lip / length))
        return light
    return np.full(rows, _inside_light(rig, _LOWER_TEETH_LIGHT if row.follow == _TEETH_FOLLOW else _TONGUE_LIGHT))


def _inside_light(rig: Rig, light: float) -> float:
    """Return the light on a part of the interior: a drawing has flat colours without shadows."""
    return 1.0 + rig.mouth.shading * (light - 1.0)


def _picture(levels: NDArray[np.floating[Any]]) -> Image:
    picture: Image = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return picture
