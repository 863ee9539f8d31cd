"""Whether a mask, a hand, a microphone or a cup covers the mouth of a face.

Landmarks are found on covered mouths too, because the networks complete the face. What is missing then is the mouth
itself: lips that are redder than the skin around them, the line between them or the opening, and agreement between
landmarks measured in slightly different crops. A mask, in addition, does not have the colour of the skin. A logistic
model weighs these measurements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.faces.face_patch import SIDE_PX, FacePatch
from sadtalker_ext.geometry.landmarks import outside_share
from sadtalker_ext.puppet import topology as topo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.geometry.landmarks import Landmarks

COVERED: Final = 0.5
"""Score from which a mouth counts as covered."""

_SKIN_POINTS: Final = (
    9, 107, 336, 151, 108, 337, 117, 118, 119, 101, 50, 346, 347, 348, 330, 280, 6, 197, 195, 5, 36, 266,
)  # fmt: skip
"""Mesh points on forehead, nose and upper cheeks, which a cover of the mouth leaves free."""
_LOWER_POINTS: Final = (207, 427, 212, 432, 202, 422, 200, 199, 18, 313, 83, 164, 167, 393, 165, 391, 214, 434)
"""Mesh points around the mouth: lower cheeks, chin, and the skin above the upper lip."""
_RING_INNER: Final = (1.12, 1.30)
_RING_OUTER: Final = (1.25, 1.90)
"""Borders of the ring of skin around the lips, as multiples of the lips' outline, horizontally and vertically."""
_MIN_INSIDE: Final = 0.9
"""Share of the mouth and the ring that must be inside the picture; with less, nothing can be said."""
_NOSE: Final = 1
"""Mesh point at the tip of the nose."""
_MIN_LIGHTNESS: Final = 5.0
"""Smallest lightness of the skin, CIE L*, by which differences are divided."""
_BLUE_SHARE: Final = 0.5
"""Share of the logarithm of blue to green in the redness, beside that of red to green: lips are less yellow than skin.

The light of a scene and the tint of a picture add a constant to these logarithms.
"""
_GREY: Final = 0.02
_COLOUR: Final = 0.045
"""Standard deviation of the redness that lightness does not explain, up to which a picture has no colours or only
one, and from which its colours are trusted. Without colours, lips are only darker than the skin.
"""
_MIN_VARIANCE: Final = 1e-6
_COLUMNS: Final = 19
"""Columns along the mouth in which its line is looked for, without the corners."""
_ROW_PX: Final = 0.75
_ROWS: Final = 14
"""Step of the samples above and below the mouth line, pixels, and their number on each side."""
_SHIFT_ROWS: Final = 5
"""Largest distance of the line from the landmarks, in rows."""
_SIDE_ROWS: Final = (4, 6)
"""Distances from the line, in rows, between which the lips on both sides of it are brighter."""
_MAX_STRUCTURE: Final = 0.25
"""Structure of the mouth, relative to the lightness of the skin, beyond which more says nothing more."""
_MIN_STRUCTURE: Final = -0.05
_EDGE_GAIN: Final = 2.0
"""Factor that makes the slope at the lips' inner edges, per pixel, comparable to the depth of the line."""
_MIN_OPENING_AREA: Final = 30
"""Pixels of the mouth opening from which its colour is measured."""
_MAX_FOREIGN: Final = 0.6
"""Distance of colours beyond which more says nothing more."""
_SPREAD_RANGE: Final = (0.001, 0.016)
"""Range of the spread of the lip points, in face heights, outside which it says nothing more."""
_MAX_GAP: Final = 0.1
"""Distance between the lips, in face heights, beyond which more says nothing more."""
_TURNED_FROM: Final = 0.9
"""Logarithm of the ratio of the nose's distances from both cheeks from which the face is nearly in profile."""
_MAX_CUT: Final = 0.02
"""Share of the face outside the picture from which the lip points scatter without a cover too."""


class MouthMeasures(NamedTuple):
    """What is measured of a mouth.

    redness: probability that a pixel of the lips is redder than one of the skin around, 0 to 1; of a grey picture, that
    it is darker. structure: depth of the line between the lips or contrast of the opening, relative to the skin's
    lightness. foreign: distance of the colour around the mouth from that of the upper face, in logarithms of red and
    blue to green; 0 in a grey picture.
    gap: distance between the lips, in face heights. turned: how far the face is turned into profile, 0 from the front.
    """

    redness: float
    structure: float
    foreign: float
    gap: float
    turned: float


_WEIGHTS: Final = MouthMeasures(redness=-9.4, structure=-10.0, foreign=5.3, gap=-42.5, turned=-1.9)
_SPREAD_WEIGHT: Final = 5.97
_CONSTANT: Final = 35.1
"""Log odds of a cover: weights of the measures and of the logarithm of the spread of the lip points, and constant.

Fitted by logistic regression on half of 423 masks, 19 hands and cups and 3900 uncovered faces, as they are, grey,
tinted and over-exposed. The constant is lowered, so that about 2 in 1000 uncovered faces score more than
:data:`COVERED`.
"""
_PICTURE_WEIGHTS: Final = MouthMeasures(redness=-10.7, structure=-23.7, foreign=7.7, gap=-36.1, turned=-0.9)
_PICTURE_CONSTANT: Final = 6.9
"""The same without the spread of the lip points."""
_MAX_GAIN: Final = 5.0
"""Log odds that the spread of the lip points may add at most: a mouth that is clearly seen is not covered."""


@dataclass(frozen=True)
class MouthCover:
    """Whether something covers the mouth.

    score: probability of a cover, 0 to 1. measures: what it is based on; None if the mouth is not inside the picture.
    """

    score: float
    measures: MouthMeasures | None = None

    @property
    def is_covered(self) -> bool:
        """Whether the mouth counts as covered."""
        return self.score >= COVERED


def measure_mouth_cover(picture: Image, face: Landmarks) -> MouthCover:
    """Return whether something covers the mouth of a face in an RGB picture (H, W, 3) uint8."""
    measures = _measure(FacePatch.cut(picture, face.mesh), _turned(face.mesh))
    if measures is None:
        return MouthCover(0.0)
    from_picture = _PICTURE_CONSTANT + _weighted(measures, _PICTURE_WEIGHTS)
    if face.lip_spread is None:
        return MouthCover(_probability(from_picture), measures)
    spread = math.log(min(max(face.lip_spread, _SPREAD_RANGE[0]), _SPREAD_RANGE[1]))
    log_odds = _CONSTANT + _weighted(measures, _WEIGHTS) + _SPREAD_WEIGHT * spread
    is_cut = outside_share(face, picture.shape[1], picture.shape[0]) > _MAX_CUT
    log_odds = min(log_odds, from_picture + (0.0 if is_cut else _MAX_GAIN))
    return MouthCover(_probability(log_odds), measures)


def _weighted(measures: MouthMeasures, weights: MouthMeasures) -> float:
    return sum(weight * value for weight, value in zip(weights, measures, strict=True))


def _probability(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))


def _measure(patch: FacePatch, turned: float) -> MouthMeasures | None:
    """Return the measures of the mouth; None if it is not inside the picture."""
    outer = _outline(patch.points, topo.MOUTH_UPPER_OUTER, topo.MOUTH_LOWER_OUTER)
    opening = patch.fill(_outline(patch.points, topo.MOUTH_UPPER_INNER, topo.MOUTH_LOWER_INNER))
    mouth = patch.fill(outer)
    centre = outer.mean(axis=0)
    wide, narrow = (patch.fill(centre + (outer - centre) * factor) for factor in (_RING_OUTER, _RING_INNER))
    ring = wide & ~narrow
    whole = mouth | ring
    if patch.inside[whole].size == 0 or patch.inside[whole].mean() < _MIN_INSIDE:
        return None
    lips, ring = mouth & ~opening & patch.inside, ring & patch.inside
    skin, around = patch.discs(_SKIN_POINTS), patch.discs(_LOWER_POINTS) & ~mouth
    if not all(part.any() for part in (lips, ring, skin, around)):
        return None
    redness, trust = _redness(patch, lips | ring | skin)
    redder, darker = _share_above(redness[lips], redness[ring]), _share_above(-patch.light[lips], -patch.light[ring])
    lightness = max(float(np.median(patch.light[skin])), _MIN_LIGHTNESS)
    return MouthMeasures(
        redness=trust * redder + (1.0 - trust) * darker,
        structure=_structure(patch, lips, opening & patch.inside, lightness),
        foreign=trust * min(_colour_distance(patch, skin, around), _MAX_FOREIGN),
        gap=min(_gap(patch.points), _MAX_GAP),
        turned=turned,
    )


def _gap(points: Float64Array) -> float:
    upper, lower = (points[list(chain)] for chain in (topo.MOUTH_UPPER_INNER, topo.MOUTH_LOWER_INNER))
    return float(np.linalg.norm(upper - lower, axis=1).max()) / SIDE_PX


def _turned(mesh: Float32Array) -> float:
    """Return how far the face is turned beyond :data:`_TURNED_FROM`, 0 from the front."""
    right, left = (np.linalg.norm(mesh[_NOSE, :2] - mesh[cheek, :2]) for cheek in (topo.CHEEK_RIGHT, topo.CHEEK_LEFT))
    ratio = max(float(right), 1e-6) / max(float(left), 1e-6)
    return max(abs(math.log(ratio)) - _TURNED_FROM, 0.0)


def _outline(points: Float64Array, upper: tuple[int, ...], lower: tuple[int, ...]) -> Float64Array:
    return np.concatenate([points[list(upper)], points[list(lower)][-2:0:-1]])


def _redness(patch: FacePatch, area: NDArray[np.bool_]) -> tuple[Float32Array, float]:
    """Return the redness (h, w), and how far it can be trusted in ``area``: 0 in a picture without colours, up to 1."""
    red, green, blue = np.moveaxis(patch.logs, -1, 0)
    redness = (red - green) + np.float32(_BLUE_SHARE) * (blue - green)
    level = patch.logs[area].mean(axis=-1)
    level, found = level - level.mean(), redness[area] - redness[area].mean()
    slope = float(np.sum(level * found)) / max(float(np.sum(level * level)), _MIN_VARIANCE)
    unexplained = float(np.std(found - slope * level))
    trust = smoothstep(np.array((unexplained - _GREY) / (_COLOUR - _GREY)))
    return redness, float(trust)


def _colour_distance(patch: FacePatch, skin: NDArray[np.bool_], around: NDArray[np.bool_]) -> float:
    """Return the median distance of the colours in ``around`` from the median colour of ``skin``."""
    colours = patch.logs[..., [0, 2]] - patch.logs[..., [1]]
    return float(np.median(np.hypot(*(colours[around] - np.median(colours[skin], axis=0)).T)))


def _share_above(first: Float32Array, second: Float32Array) -> float:
    """Return the probability that a value of ``first`` is above one of ``second``; equal values count half."""
    ordered = np.sort(second)
    below = np.searchsorted(ordered, first, "left").mean() + np.searchsorted(ordered, first, "right").mean()
    return float(below) / (2.0 * len(ordered))


def _structure(patch: FacePatch, lips: NDArray[np.bool_], opening: NDArray[np.bool_], lightness: float) -> float:
    """Return the depth of the line between the lips, the slope at their edges or the opening's contrast, if larger."""
    light = patch.light
    upper, lower = (_resampled(patch.points[list(c)]) for c in (topo.MOUTH_UPPER_INNER, topo.MOUTH_LOWER_INNER))
    along = patch.points[topo.MOUTH_CORNERS[1]] - patch.points[topo.MOUTH_CORNERS[0]]
    along /= max(float(np.linalg.norm(along)), 1e-6)
    down = np.array([-along[1], along[0]])
    found = [_line_depth(_sample(light, (upper + lower) / 2, down)) / lightness]
    for edge in (upper, lower):
        rows = _sample(light, edge, down)
        slopes = np.abs(np.median(np.diff(rows[:, _ROWS - 2 : _ROWS + 3], axis=1), axis=0)) / _ROW_PX
        found.append(_EDGE_GAIN * float(slopes.max()) / lightness)
    core = cv2.erode(opening.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if int(core.sum()) > _MIN_OPENING_AREA:
        found.append(abs(float(np.median(light[core]) - np.median(light[lips]))) / lightness)
    return float(np.clip(max(found), _MIN_STRUCTURE, _MAX_STRUCTURE))


def _resampled(chain: Float64Array) -> Float64Array:
    """Return points (N, 2) at equal steps along a chain of mesh points, without its ends."""
    places = np.linspace(0.0, len(chain) - 1.0, _COLUMNS + 6)[3:-3]
    known = np.arange(len(chain))
    return np.stack([np.interp(places, known, chain[:, axis]) for axis in (0, 1)], axis=1)


def _sample(light: Float32Array, line: Float64Array, down: Float64Array) -> Float32Array:
    """Return lightness (N, rows) across a line (N, 2)."""
    rows = np.arange(-_ROWS, _ROWS + 1) * _ROW_PX
    x, y = np.moveaxis((line[:, None] + rows[None, :, None] * down).astype(np.float32), -1, 0)
    return np.asarray(cv2.remap(light, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _line_depth(rows: Float32Array) -> float:
    """Return how much darker a line along all columns is than the lips on both sides, at the best distance.

    rows: lightness (N, rows) with the landmarks' line in the middle.
    """
    near, far = _SIDE_ROWS
    depths = []
    for centre in range(_ROWS - _SHIFT_ROWS, _ROWS + _SHIFT_ROWS + 1):
        above = rows[:, centre - far : centre - near + 1].max(axis=1)
        below = rows[:, centre + near : centre + far + 1].max(axis=1)
        depth = np.minimum(above, below) - rows[:, centre]
        depths.append(float(np.mean(depth)))
    return max(depths)
