"""Hair behind the ears of short-haired heads, which comes into view at one side when the head turns.

A picture from the front shows nothing of it. It is a second layer behind the surface of the head, which continues the
outline above the ear to the nape, in the texture of the hair above the ear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.backdrop import MASK_SET, fill_background
from sadtalker_ext.puppet.profiles import smooth_ramp
from sadtalker_ext.puppet.short_hair import Side, short_haired_sides
from sadtalker_ext.puppet.warp import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.puppet.backend_array import BackendArray
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.imaging import Imaging, Texture
    from sadtalker_ext.puppet.warp import Displacement, Window

    _Motion = tuple[Displacement, Float64Array]

_HEIGHT: Final = 0.5
"""Height of the layer from the line above the ear to the nape, in face heights."""
_BULGE: Final = 0.035
_ROUND_FROM: Final = 0.3
_ROUNDNESS: Final = 2.5
_INWARDS: Final = 0.5
"""How far the outline stands out behind the ear, in face heights, the share of the height at which that is and from
which it comes in, the exponent of the curve (2: an ellipse), and how far it comes in at the nape, in face heights."""
_LEAN: Final = 0.3
"""Slope of the outline above the line, where it is hidden behind the hair."""
_EDGE: Final = 0.02
"""Softness of the outline in face heights."""
_BEHIND: Final = 0.12
"""How far the layer is further inside in a head that is not turned, in face heights: it is hidden there."""
_DRAWN_FROM_RAD: Final = float(np.deg2rad(4.0))
_OPAQUE_RAD: Final = float(np.deg2rad(9.0))
_OUT_RAD: Final = float(np.deg2rad(26.0))
"""Yaw from which the layer is drawn, at which it is opaque, and at which it is no longer further inside."""
_SIDEWAYS: Final = (-0.5, 0.2)
_DOWN: Final = (-0.35, 0.65)
"""Extent of the layer outwards from the outline and down from the line, in face heights."""
_SAME_HAIR: Final = 55.0
"""Largest difference in levels from the median of the hair that belongs to it."""
_LEAST_HAIR: Final = 0.4
"""Share of the place above the ear that must be hair."""
_STRIP_MARGIN: Final = 0.015
_STRIP_HEIGHT: Final = 0.22
"""Margin and height, in face heights, of the hair above the ear that is mirrored."""
_SHADE: Final = 0.75
"""Light at the nape, as a share of that above the ear."""
_CERTAIN: Final = (0.6, 0.9)
_POSSIBLE: Final = (0.15, 0.45)
_OTHER_COLOUR: Final = (16.0, 44.0)
"""Share of the person from which and at which a pixel is certainly a part of it, and possibly, and the difference in
levels from the background from which and at which a possible one is."""
_CERTAIN_DEPTH: Final = 0.04
"""Distance from the edge of the segmentation, in face heights, from which a pixel is certainly inside."""
_IN_FRONT: Final = 0.996
"""Share of the head above which nothing behind it is seen."""


@dataclass(frozen=True)
class HeadBack:
    """The layer at one side of the head.

    side: where the layer is. hair: texture (h, w, 4), the last channel its opacity in levels. head: texture (h, w, 3),
    share of the head itself in [0, 1]. cover: (rows, columns) on ``grid``, the least share of the head around a node.
    """

    side: Side
    hair: Texture
    head: Texture
    grid: Grid
    cover: Float32Array

    def draw(self, canvas: BackendArray, motion: _Motion, place: tuple[Float32Array, Grid], imaging: Imaging) -> None:
        """Draw the layer on a frame where the head itself does not cover it.

        motion: displacement of the head, and its rotation (3,). place: where the nodes of a grid, with one margin cell,
        come from in the picture, and the grid.
        """
        turned = -self.side.sign * float(motion[1][1])
        if turned <= _DRAWN_FROM_RAD:
            return
        source, part = place
        points = self._points_behind(part.nodes(1), motion, turned)
        outwards, down = self.side.local(points)
        level = down / _HEIGHT
        seen = (outwards > _SIDEWAYS[0]) & (outwards < _outline(level)) & (down > _DOWN[0])
        seen &= self.grid.sample(self.cover, source) < _IN_FRONT
        if not seen.any():
            return
        block, nodes = _around(part, seen)
        window, inner = block.pixel_windows(*canvas.shape[:2])
        if any(span.start >= span.stop for span in window):
            return
        fine = imaging.upsample(np.concatenate([points[nodes], source[nodes]], axis=-1), block.cell)[inner]
        hair = imaging.to_float(imaging.sample(self.hair, fine[..., :2]))
        covered = imaging.sample(self.head, fine[..., 2:])[..., 0]
        opacity = np.float32(smooth_ramp(np.array(turned), _DRAWN_FROM_RAD, _OPAQUE_RAD) / MASK_SET)
        share = hair[..., 3] * (1.0 - covered) * opacity
        canvas[window] = imaging.blend(imaging.to_uint8(hair[..., :3]), canvas[window], share)

    def _points_behind(self, points: Float32Array, motion: _Motion, turned: float) -> Float32Array:
        """Return where output points (h, w, 2) are in the layer: it moves with the outline above the ear."""
        side, (head, rotation) = self.side, motion
        moved = head.forward(side.anchor[None, None].astype(np.float32))[0, 0]
        inside = _BEHIND * side.unit * (1.0 - float(smooth_ramp(np.array(turned), 0.0, _OUT_RAD)))
        roll = float(rotation[2])
        turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]], np.float32)
        start = np.asarray(side.anchor + inside * side.outwards, np.float32)
        return np.asarray((points - moved) @ turn + start, np.float32)


class _Crop(NamedTuple):
    """A part of a portrait around the layer: its place, and picture, background and person there, as in the whole."""

    window: Window
    picture: Image
    backdrop: Image
    person: Float32Array


def build_backs(
    pictures: tuple[Image, Image], mesh: Float32Array, person: Float32Array | None,
    face_on_grid: tuple[FaceGeometry, Grid], imaging: Imaging,
) -> tuple[HeadBack, ...]:  # fmt: skip
    """Return the layers at the sides of a portrait that show short hair above an ear.

    pictures: the portrait and its background (H, W, 3) RGB. mesh: (478, 3). person: (H, W) in [0, 1]. face_on_grid:
    measures of the face, and the grid of the head.
    """
    if person is None:
        return ()
    face, grid = face_on_grid
    backs = []
    for side in short_haired_sides(pictures[0], mesh, person, face):
        window = _window(side, person.shape)
        crop = _Crop(window, pictures[0][window], pictures[1][window], person[window])
        hair = _hair(crop, side)
        if hair is not None:
            backs.append(_layer(hair, crop, (side, grid), imaging))
    return tuple(backs)


def _layer(hair: Image, crop: _Crop, place: tuple[Side, Grid], imaging: Imaging) -> HeadBack:
    """Return the layer with ``hair`` (h, w, 4) in a crop; place: its side, and the grid of the head."""
    side, grid = place
    head = _share_of_head(crop, side.unit)
    origin = (float(crop.window[1].start), float(crop.window[0].start))
    least = cv2.erode(head, np.ones((2 * grid.cell + 1, 2 * grid.cell + 1), np.uint8))
    x, y = cv2.split(grid.nodes() - np.array(origin, np.float32))
    cover = cv2.remap(least, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1.0,))
    levels = np.repeat(head[..., None], 3, axis=-1)
    return HeadBack(
        side, imaging.texture(hair, origin), imaging.texture(levels, origin), grid, np.asarray(cover, np.float32)
    )


def _window(side: Side, size: tuple[int, ...]) -> Window:
    """Return the rows and columns that a layer covers in a picture of (height, width)."""
    corners = np.array([side.pixels(across, below) for across in _SIDEWAYS for below in _DOWN])
    (left, top), (right, bottom) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    rows = slice(max(int(top), 0), min(int(bottom) + 1, size[0]))
    return rows, slice(max(int(left), 0), min(int(right) + 1, size[1]))


def _hair(crop: _Crop, side: Side) -> Image | None:
    """Return the hair above the ear (h, w, 4), mirrored repeatedly, with its opacity; None: there is too little."""
    first = np.array([crop.window[1].start, crop.window[0].start], np.float32)
    columns, rows = np.meshgrid(*(np.arange(size, dtype=np.float32) for size in crop.person.shape[::-1]))
    outwards, down = side.local(np.stack([columns, rows], axis=-1) + first)
    beside = (down < 0.0) & (down > -_STRIP_HEIGHT) & (outwards > -side.width) & (outwards < 0.0)
    certain = beside & (crop.person > _CERTAIN[1])
    if not certain.any():
        return None
    alike = certain & (np.abs(crop.picture - np.median(crop.picture[certain], axis=0)).max(axis=-1) < _SAME_HAIR)
    if alike[beside].mean() < _LEAST_HAIR:
        return None
    filled = fill_background(crop.picture, np.where(alike, 0, MASK_SET).astype(np.uint8))
    aside = _mirrored(outwards, _STRIP_MARGIN - side.width, -_STRIP_MARGIN)
    above = _mirrored(down, -_STRIP_HEIGHT, 0.0)
    place = side.pixels(aside[..., None], above[..., None]).astype(np.float32) - first
    x, y = cv2.split(place)
    strands = np.asarray(cv2.remap(filled, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.float32)
    level = down / _HEIGHT
    light = 1.0 - (1.0 - _SHADE) * smooth_ramp(level, 0.0, 1.0)
    opacity = MASK_SET * smooth_ramp(_outline(level) - outwards, 0.0, _EDGE)
    whole = np.concatenate([strands * light[..., None], opacity[..., None]], axis=-1)
    return np.asarray(np.clip(np.rint(whole), 0.0, MASK_SET), np.uint8)


def _mirrored(values: Float64Array, low: float, high: float) -> Float64Array:
    """Return values mirrored at ``low`` and ``high`` again and again, until they are between both."""
    span = high - low
    folded: Float64Array = low + np.abs((high - values) % (2.0 * span) - span)
    return folded


def _outline(level: Float64Array) -> Float64Array:
    """Return the outline in face heights outwards from the anchor at ``level``: 0 above the ear, 1 at the nape."""
    bulge = _BULGE * np.sin(0.5 * np.pi * np.clip(level / _ROUND_FROM, 0.0, 1.0))
    round_off = np.clip((level - _ROUND_FROM) / (1.0 - _ROUND_FROM), 0.0, 1.0)
    inwards = _INWARDS * (1.0 - np.sqrt(1.0 - round_off**_ROUNDNESS))
    outline: Float64Array = np.where(level < 1.0, bulge - inwards + _LEAN * np.minimum(level, 0.0), _SIDEWAYS[0])
    return outline


def _share_of_head(crop: _Crop, unit: float) -> Float32Array:
    """Return how much of each pixel (h, w) shows the person: without the rim of background that the matte includes."""
    side = 2 * max(1, round(_CERTAIN_DEPTH * unit)) + 1
    certain = smooth_ramp(np.asarray(cv2.erode(crop.person, np.ones((side, side), np.uint8)), np.float32), *_CERTAIN)
    difference = np.abs(crop.picture.astype(np.float32) - crop.backdrop).max(axis=-1)
    possible = smooth_ramp(difference, *_OTHER_COLOUR) * smooth_ramp(crop.person, *_POSSIBLE)
    return np.asarray(np.maximum(certain, possible), np.float32)


def _around(grid: Grid, chosen: NDArray[np.bool_]) -> tuple[Grid, Window]:
    """Return the cells around the chosen nodes, and the window of their nodes with one margin cell.

    chosen: (rows + 2, columns + 2) on the nodes of ``grid`` with one margin cell.
    """
    rows, columns = np.flatnonzero(chosen.any(axis=1)), np.flatnonzero(chosen.any(axis=0))
    top, left = (min(max(int(found[0]) - 1, 1), size) for found, size in ((rows, grid.rows), (columns, grid.columns)))
    bottom, right = min(int(rows[-1]) + 1, grid.rows), min(int(columns[-1]) + 1, grid.columns)
    x0, y0 = grid.x0 + (left - 1) * grid.cell, grid.y0 + (top - 1) * grid.cell
    part = Grid(x0, y0, grid.cell, max(bottom, top) - top + 1, max(right, left) - left + 1)
    return part, (slice(top - 1, top + part.rows + 1), slice(left - 1, left + part.columns + 1))
