"""The back of the head, which no portrait shows: a texture in the colour and with the strands of the hair.

The picture at the outline goes over into the hair seen above the face, or into the skin of a bald head or the cloth of
a hat. The neck stays longer below. The texture is a disk, seen from behind: its border is the outline of the head, its
centre the middle of the back, so that it has no seam but that at the outline, where it repeats the portrait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.mesh.parts import Tile
from sadtalker_ext.puppet.profiles import smooth_ramp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

BACK: Final = "back"
"""Name of the part and of its tile."""
_RADIUS_PX: Final = 96.0
_BORDER_PX: Final = 2.0
"""Radius of the disk and width of the border around it, which repeats its colours."""
_HAIR_ABOVE: Final = -0.2
"""Downward part of a ray's direction up to which it passes through hair."""
_HAIR_SHARES: Final = (0.55, 0.9)
"""Part of the way from the face oval to the outline that shows hair."""
_CROWN: Final = 0.45
"""Distance of the crown, from which the strands go out, above the centre, in radii."""
_STRANDS: Final = 2
_STRANDS_BLUR: Final = 0.06
_STRANDS_FROM: Final = (0.0, 0.5)
_STRANDS_LEVELS: Final = 7.0
"""How often the hair above the face repeats around the crown and back, the blur that is taken from it so that strands
remain, in radii, the distances from the crown at which they begin and are complete, and their largest deviation."""
_SIDE_ENDS: Final = 0.30
_NECK_BEGINS, _NECK_ENDS = 0.40, 0.75
"""Depth in the disk, from its border, at which the sides have become hair, and the depths at which the neck begins to
and has."""
_NECK_FROM: Final = (0.3, 0.75)
"""Downward parts of a ray's direction at which the neck begins, and from which it is complete."""
_EDGE_BLUR: Final = 4.0
_EDGE_SHARP: Final = 0.10
"""Blur of the colours at the outline along it, in directions, and the depth at which they are blurred."""


@dataclass(frozen=True)
class BackView:
    """What the back continues.

    angles: (N,) of the rays in the picture, in radians, and down: (N,) the downward parts of their directions. oval,
    outline, edge: (N, 2) pixels of the face oval, the outline, and of what the portrait shows at the outline.
    """

    angles: Float64Array
    down: Float64Array
    oval: Float64Array
    outline: Float64Array
    edge: Float64Array

    def texels(self, depth: float) -> Float64Array:
        """Return the texels (N, 2) of the rays at ``depth``: 0 is the border of the disk, 1 its centre."""
        directions = np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)
        middle = _RADIUS_PX + _BORDER_PX
        texels: Float64Array = middle + (1.0 - depth) * _RADIUS_PX * directions
        return texels


def back_tile(view: BackView, portrait: Tile) -> Tile:
    """Return the tile of the back, in the colours of the tile of the portrait."""
    side = round(2.0 * (_RADIUS_PX + _BORDER_PX)) + 1
    y, x = np.mgrid[:side, :side] - (_RADIUS_PX + _BORDER_PX)
    depth = np.clip(1.0 - np.hypot(x, y) / _RADIUS_PX, 0.0, 1.0)
    angle = np.arctan2(y, x)
    down = np.interp(angle, *_periodic(view.angles, view.down))
    neck = smooth_ramp(down, *_NECK_FROM)
    begin, end = neck * _NECK_BEGINS, _SIDE_ENDS + neck * (_NECK_ENDS - _SIDE_ENDS)
    hair = smooth_ramp((depth - begin) / (end - begin), 0.0, 1.0)[..., None]
    across, below = x / _RADIUS_PX, y / _RADIUS_PX + _CROWN
    colour, strands = _hair(view, portrait, np.arctan2(below, across), np.hypot(across, below))
    whole = (1.0 - hair) * _edges(view, portrait, angle, depth) + hair * (colour + strands)
    return Tile(np.clip(np.rint(whole), 0, 255).astype(np.uint8))


def _edges(view: BackView, portrait: Tile, angle: Float64Array, depth: Float64Array) -> Float64Array:
    """Return the colours of the outline (h, w, 3), blurred along it away from the border."""
    sharp = _sample(portrait, view.edge).astype(np.float64)
    around = np.tile(sharp, (3, 1))[None].astype(np.float32)
    blurred = cv2.GaussianBlur(around, (0, 0), sigmaX=_EDGE_BLUR, sigmaY=1e-3)[0, len(sharp) : 2 * len(sharp)]
    layers = [
        np.stack([np.interp(angle, *_periodic(view.angles, colours[:, band])) for band in range(3)], axis=-1)
        for colours in (sharp, blurred.astype(np.float64))
    ]
    share = smooth_ramp(depth, 0.0, _EDGE_SHARP)[..., None]
    edges: Float64Array = (1.0 - share) * layers[0] + share * layers[1]
    return edges


def _hair(
    view: BackView, portrait: Tile, angle: Float64Array, distance: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return the colour of the hair (3,) and its strands (h, w, 3), which are 0 on average.

    angle, distance: of each texel from the crown, in radians and radii.
    """
    above = np.flatnonzero(view.down < _HAIR_ABOVE)
    above = above[np.argsort(view.angles[above])]
    oval, outline = view.oval[above], view.outline[above]
    place = _triangle(angle * _STRANDS / np.pi) * (len(above) - 1)
    share = _HAIR_SHARES[1] + (_HAIR_SHARES[0] - _HAIR_SHARES[1]) * _triangle(distance)
    near, far = (
        np.stack([np.interp(place, np.arange(len(above)), ring[:, axis]) for axis in range(2)], axis=-1)
        for ring in (oval, outline)
    )
    hair = _sample(portrait, near + share[..., None] * (far - near))
    colour = np.median(hair.reshape(-1, 3), axis=0)
    strands = hair - cv2.GaussianBlur(hair, (0, 0), _STRANDS_BLUR * _RADIUS_PX)
    shown = min(1.0, _STRANDS_LEVELS / max(float(strands.std()), 1.0)) * smooth_ramp(distance, *_STRANDS_FROM)
    return colour.astype(np.float64), shown[..., None] * strands


def _triangle(values: Float64Array) -> Float64Array:
    """Return a triangle wave that is 0 at even and 1 at odd numbers."""
    wave: Float64Array = np.abs((values + 1.0) % 2.0 - 1.0)
    return wave


def _periodic(angles: Float64Array, values: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return rising angles beyond -pi to pi, and their values, for interpolation of a closed curve."""
    order = np.argsort(angles)
    turns = [angles[order] + 2.0 * np.pi * turn for turn in (-1, 0, 1)]
    return np.concatenate(turns), np.tile(values[order], 3)


def _sample(tile: Tile, points: Float64Array) -> Float32Array:
    """Return the colours (..., 3) of a tile at points (..., 2) of the picture."""
    at = tile.texels(points).astype(np.float32).reshape(len(points), -1, 2)
    found = cv2.remap(tile.image, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    colours: Float32Array = np.asarray(found, np.float32).reshape(*points.shape[:-1], 3)
    return colours
