"""The mouth interior of drawings: two flat colours, for the interior and the tongue, without teeth and shading."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.drawn_eyes import cheek_colour, skin_distance
from sadtalker_ext.puppet.face_geometry import measure_mouth
from sadtalker_ext.puppet.mouth_colours import gap_levels, skin_light
from sadtalker_ext.puppet.profiles import smooth_edge
from sadtalker_ext.puppet.strips import Palette, Strip, strip_axes

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Image
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

_INTERIOR_OF_SKIN_RGB: Final = (0.66, 0.32, 0.32)
"""Gain of the skin's colour that gives the interior, as it is usually drawn."""
_OWN_GREEN: Final = 0.8
"""Largest level of green, relative to the skin's, in the gap of an open mouth; what has more is skin around a line. It
must not exceed the level of red either, as it does where something covers the mouth."""
_LIP_MIDDLE: Final = 0.2
"""Where a lower lip would be, below the landmarks' one, as a share of the height between the outer contours."""
_TONGUE_RGB: Final = (1.28, 1.45, 1.42)
"""Gain of the interior's colour that gives the tongue: lighter and less saturated."""
_MAX_LEVEL: Final = 250.0
"""Largest level of the tongue's colour."""
_TONGUE_HEIGHT: Final = 0.16
_TONGUE_DROP: Final = 0.05
_TONGUE_WIDTH: Final = 0.95
_TONGUE_POWER: Final = 2.2
"""Height of the tongue's strip (face heights), and how far its outline drops at which distance from the middle (half
mouth widths), along a power curve."""
_TONGUE_EDGE: Final = 0.004
"""Half width of the tongue's outline, in face heights."""
_LINE_WIDTH: Final = 0.8
_LINE_COLUMNS: Final = 61
"""Reach of the samples of the line between the lips to both sides, half mouth widths, and their number."""
_EMPTY_TEXELS: Final = 32
"""Size of the empty strip that stands for teeth."""


def refine_drawn_mouth(picture: Image, face: FaceGeometry, mesh: Float32Array) -> FaceGeometry:
    """Return ``face`` with the open mouth of a drawing without lips; mesh (478, 3) in pixels.

    Landmarks expect lips and place them inside a coloured opening; its border is where they place the outer contour.
    """
    if not face.mouth_is_open:
        return face
    points = mesh[:, :2].astype(np.float64)
    opening = measure_mouth(points, topo.MOUTH_UPPER_OUTER, topo.MOUTH_LOWER_OUTER)
    middle = np.zeros(1)
    below = face.mouth.lower(middle) + _LIP_MIDDLE * (opening.lower(middle) - opening.upper(middle))
    inside = (face.mouth.upper(middle) + face.mouth.lower(middle)) / 2.0
    lip, gap = (face.mouth.axes.pixels(middle, v).astype(np.float32) for v in (below, inside))
    at = np.stack([lip, gap])
    levels = cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
    from_gap = skin_distance(levels[:1], levels[1, 0].astype(np.float64))[0, 0]
    from_skin = skin_distance(levels[:1], cheek_colour(picture, mesh))[0, 0]
    return replace(face, mouth=opening) if from_gap < from_skin else face


def drawn_palette(picture: Image, face: FaceGeometry) -> Palette:
    """Return flat colours for the interior: the portrait's own where its mouth is open."""
    skin = skin_light(picture, face)
    interior = skin * np.array(_INTERIOR_OF_SKIN_RGB)
    tongue = np.minimum(interior * np.array(_TONGUE_RGB), _MAX_LEVEL)
    if face.mouth_is_open:
        own = np.median(gap_levels(picture, face), axis=(0, 1))
        if own[1] < min(_OWN_GREEN * skin[1], own[0]):
            interior = tongue = own
    flat, lighter = interior.astype(np.float32), tongue.astype(np.float32)
    line = flat if face.mouth_is_open else _line_colour(picture, face)
    return Palette(enamel=flat, gum=flat, tongue=lighter, mucosa=flat, cavity=flat, rim=line)


def _line_colour(picture: Image, face: FaceGeometry) -> Float32Array:
    """Return the RGB levels (3,) of the line between closed lips."""
    mouth = face.mouth
    t = np.linspace(-_LINE_WIDTH * mouth.left_px, _LINE_WIDTH * mouth.right_px, _LINE_COLUMNS)
    where = mouth.axes.pixels(t, mouth.upper(t)).astype(np.float32)
    levels = cv2.remap(picture, where[None, :, 0], where[None, :, 1], cv2.INTER_LINEAR)[0]
    return np.asarray(np.median(levels, axis=0), np.float32)


def drawn_tongue(palette: Palette) -> Strip:
    """Return the tongue as a flat shape; its highest point is at 0."""
    u, depth = strip_axes(_TONGUE_HEIGHT)
    outline = _TONGUE_DROP * (np.abs(u) / _TONGUE_WIDTH) ** _TONGUE_POWER
    alpha = smooth_edge(depth - outline - _TONGUE_EDGE, _TONGUE_EDGE)[..., None]
    return Strip(np.concatenate([palette.tongue * alpha, alpha], axis=-1).astype(np.float32), 0.0)


def no_teeth() -> Strip:
    """Return a transparent strip."""
    return Strip(np.zeros((_EMPTY_TEXELS, _EMPTY_TEXELS, 4), np.float32), 0.0)
