"""Sides of a portrait that show short hair above an ear: what is behind the ear comes into view when the head turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

    _Values = NDArray[np.floating[Any]]

_TEMPLES: Final = ((127, -1.0), (356, 1.0))
"""Points of the mesh at the temples, where the ears begin, and their sides in the picture."""
_ABOVE_EAR: Final = 0.07
"""Distance of the line above the ear from this point, in face heights."""
_HAIR_WIDTH: Final = (0.03, 0.16)
"""Least and largest width of short hair beside the temple, in face heights."""
_LEAST_WIDTH_PX: Final = 14.0
"""The same in pixels: with fewer there is no texture that could be continued."""
_MOUTH_BELOW: Final = 0.55
_NARROWER: Final = 0.03
"""Distance of the mouth below the line, and how much narrower the person must be there than above the ear, both in face
heights: long hair is wider."""
_PERSON: Final = 0.5
"""Share of the person from which a pixel is inside."""
_FARTHEST: Final = 0.8
_BEGINS: Final = 0.1
"""Distance in face heights up to which an outline is searched, and how far inside of the temple the search begins."""


class _Spots(NamedTuple):
    """Distances in face heights, outwards and down, at which colours are compared."""

    outwards: tuple[float, ...]
    down: tuple[float, ...]


_EAR: Final = _Spots((-0.06, -0.045, -0.03), tuple(np.linspace(0.06, 0.28, 12).tolist()))
_CHEEK: Final = _Spots(tuple(np.linspace(-0.16, -0.06, 6).tolist()), _EAR.down)
_HAIR: Final = _Spots(tuple(np.linspace(-0.08, -0.02, 6).tolist()), tuple(np.linspace(-0.2, -0.02, 12).tolist()))
"""The ear, from the outline and the temple; the cheek, from the temple; the hair, from the outline above the ear."""
_STANDS_OUT: Final = 0.03
_LEAST_ROWS: Final = 3
"""How far an ear stands out beside the temple, in face heights, and the least number of rows in which it does."""
_LEAST_CONTRAST: Final = 120.0
"""Smallest distance in colour of hair and cheek: bright or mixed hair beside a bright background is not
recognized reliably."""
_NEARER: Final = 0.8
"""Largest ratio of an ear's distances in colour from the cheek and from the hair."""
_SHADED_NEARER: Final = 0.7
_LIGHTER: Final = 1.5
"""The same for colours without their brightness, and how much lighter than the hair an ear must be then."""


@dataclass(frozen=True)
class Side:
    """A side of a head.

    sign: -1 left in the picture, 1 right. anchor: (2,) px, the outline of the head above the ear. outwards, down: (2,)
    unit vectors. unit: height of the face, px. width: that of the hair beside the temple, face heights.
    """

    sign: float
    anchor: Float64Array
    outwards: Float64Array
    down: Float64Array
    unit: float
    width: float

    def local(self, points: Float32Array) -> tuple[Float64Array, Float64Array]:
        """Return the distances (h, w) of ``points`` (h, w, 2) outwards and down from the anchor, in face heights."""
        away = (points - self.anchor) / self.unit
        return away @ self.outwards, away @ self.down

    def pixels(self, outwards: float | Float64Array, down: float | Float64Array) -> Float64Array:
        """Return the points (..., 2) at distances outwards and down from the anchor in face heights."""
        return np.asarray(self.anchor + self.unit * (outwards * self.outwards + down * self.down), np.float64)


def short_haired_sides(
    picture: Image, mesh: Float32Array, person: Float32Array, face: FaceGeometry
) -> tuple[Side, ...]:
    """Return the sides of a portrait at which an ear is seen below short hair.

    picture: (H, W, 3) RGB. mesh: (478, 3) pixels. person: (H, W) in [0, 1].
    """
    unit, down = face.height_px, np.asarray(face.axes.down, np.float64)
    sides = []
    for temple, sign in _TEMPLES:
        outwards = sign * np.asarray(face.axes.along, np.float64)
        at_temple = Side(sign, mesh[temple, :2].astype(np.float64), outwards, down, unit, 0.0)
        width, lower = (_width(person, at_temple, level) for level in (-_ABOVE_EAR, _MOUTH_BELOW - _ABOVE_EAR))
        if width is None or lower is None or not _HAIR_WIDTH[0] <= width <= _HAIR_WIDTH[1]:
            continue
        if width * unit < _LEAST_WIDTH_PX:
            continue
        side = Side(sign, at_temple.pixels(width, -_ABOVE_EAR), outwards, down, unit, width)
        if lower <= width - _NARROWER and _shows_ear(picture, person, at_temple, side):
            sides.append(side)
    return tuple(sides)


def _width(person: Float32Array, temple: Side, down: float, begins: float = 0.0) -> float | None:
    """Return the distance in face heights outwards from the temple to the person's outline; None: it is not seen.

    down: distance below the temple; begins: place outwards from it at which the search begins, both in face heights.
    """
    steps = np.arange(begins, _FARTHEST, 1.0 / temple.unit)
    x, y = np.rint(temple.pixels(steps[:, None], down)).astype(np.int64).T
    inside = (x >= 0) & (x < person.shape[1]) & (y >= 0) & (y < person.shape[0])
    outside = np.flatnonzero(person[y[inside], x[inside]] < _PERSON)
    return float(steps[outside[0]]) if len(outside) else None


def _shows_ear(picture: Image, person: Float32Array, temple: Side, outline: Side) -> bool:
    """Whether the person's outline below the temple has a colour nearer to that of the cheek than to that of the hair.

    temple, outline: the side as seen from the temple, and from the outline above the ear.
    """
    edges = [(down, _width(person, temple, down, -_BEGINS)) for down in _EAR.down]
    beside = [(down, edge) for down, edge in edges if edge is not None and edge > _STANDS_OUT]
    rims = [temple.pixels(edge + out, down) for down, edge in beside for out in _EAR.outwards]
    if len(beside) < _LEAST_ROWS:
        return False
    places = [[side.pixels(out, down) for out in spots.outwards for down in spots.down]
              for side, spots in ((temple, _CHEEK), (outline, _HAIR))]  # fmt: skip
    ear, cheek, hair = (_median(picture, np.array(points)) for points in (rims, *places))
    if np.linalg.norm(hair - cheek) < _LEAST_CONTRAST:
        return False
    if np.linalg.norm(ear - cheek) < _NEARER * np.linalg.norm(ear - hair):
        return True
    brightness = [max(float(np.linalg.norm(colour)), 1.0) for colour in (ear, cheek, hair)]
    ear, cheek, hair = (colour / level for colour, level in zip((ear, cheek, hair), brightness, strict=True))
    nearer = np.linalg.norm(ear - cheek) < _SHADED_NEARER * np.linalg.norm(ear - hair)
    return bool(nearer and brightness[0] > _LIGHTER * brightness[2])


def _median(picture: Image, points: Float64Array) -> Float64Array:
    """Return the median colour (3,) of a picture at ``points`` (N, 2)."""
    x, y = np.clip(np.rint(points).astype(np.int64), 0, np.array(picture.shape[1::-1]) - 1).T
    return np.asarray(np.median(picture[y, x], axis=0), np.float64)
