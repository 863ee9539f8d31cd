"""The eyes of the mesh: eyeballs behind the lids, and lids that close over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.mesh.parts import Part, Tile
from sadtalker_ext.mesh.targets import GAZE_TARGETS
from sadtalker_ext.mesh.topology import EYE_CONTOURS, grid_triangles, ring_triangles
from sadtalker_ext.puppet.eyelids import UPPER_LID_SHARE
from sadtalker_ext.puppet.eyes import GAZE_REACH
from sadtalker_ext.puppet.outer_corner import outer_drop

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import EyeFrame

_RADIUS: Final = 0.067
"""Radius of an eyeball in face heights: 12 mm of 180 mm."""
_CLEARANCE: Final = 0.004
"""Smallest distance between lids and eyeball, in face heights."""
_RECEDES: Final = 0.4
"""Distance by which the eyeball moves back behind closed lids, in its radii: lids are flat between their landmarks."""
_ACROSS: Final = 1.3
_BEYOND: Final = 0.35
"""Half width of the eyeball's surface, and how far it continues above and below the lids, in half eye widths."""
_SOCKET_BEHIND: Final = 0.01
"""Distance behind lids and eyeball at which the wall between them ends, in face heights."""
_COLUMNS: Final = 21
_ROWS: Final = 13
"""Vertices across and down an eyeball's surface."""
_TILE_PX: Final = 160
"""Width of an eye's tile; small eyes are enlarged, so that the filled surroundings stay smooth."""
_LASHES: Final = 0.10
_LOWER_LASHES: Final = 0.05
"""Height below the upper and above the lower lid, in openings, that shows lashes and shadow instead of the eyeball."""
_INSIDE_ACROSS: Final = 0.93
"""Reach of the visible eyeball to both sides, in half eye widths; beyond are the corners' skin."""
_FILL_PX: Final = 4.0
"""Radius of the inpainting that continues the eyeball behind the lids."""
_OVERLAP: Final = 0.03
"""Overlap of the closed lids, in half eye widths."""
_EDGE_OUTSIDE_ABOVE: Final = 0.03
_EDGE_OUTSIDE_BELOW: Final = 0.04
"""Distance of the picture that the lids' edges show above and below the opening, in half eye widths."""
_FOLD_SHARE: Final = 0.82
"""Height of the skin that stretches above the upper lid, as a share of the distance to the brow."""
_BELOW_REACH: Final = 0.55
"""Height of the skin below the eye that stretches with the lower lid, in half eye widths."""
_LASH_BAND: Final = 0.22
"""Height of the band above the upper lid that moves with it unstretched, as a share of the opening."""
_IRIS_WHOLE: Final = 0.8
_IRIS_FADE: Final = 0.9
"""Distance from the iris' centre up to which the eyeball moves with the gaze completely, and the width of the fade, in
iris radii, as in the renderer of the portrait."""
_DRAWN_GAZE: Final = 0.5
"""Share of the gaze's travel in large drawn eyes."""
_MIN_HEIGHT_PX: Final = 1e-3
"""Smallest height by which a stretch is divided."""


@dataclass(frozen=True)
class Ball:
    """An eyeball: depth = plane at (t, v, 1) + back + r^2 / (2 radius), with r the distance from the eye's middle.

    All lengths are pixels; t and v are the coordinates along the eye's axes.
    """

    plane: Float64Array
    middle_v: float
    back_px: float
    radius_px: float

    def depth(self, t: Float64Array, v: Float64Array) -> Float64Array:
        """Return the depth (...) of the surface at ``t`` and ``v``."""
        bulge = (t**2 + (v - self.middle_v) ** 2) / (2.0 * self.radius_px)
        depth: Float64Array = self.plane[0] * t + self.plane[1] * v + self.plane[2] + self.back_px + bulge
        return depth


def fit_ball(frame: EyeFrame, skin: Float64Array, contour: tuple[int, ...], height_px: float) -> Ball:
    """Return the eyeball that lies behind the lids of the skin (N, 3) and touches the plane through them."""
    lids = skin[list(contour)]
    t, v = frame.axes.local(lids[:, :2])
    system = np.stack([t, v, np.ones_like(t)], axis=1)
    slopes = np.linalg.lstsq(system, lids[:, 2], rcond=None)[0]
    middle = float(np.mean([frame.upper(np.zeros(1)), frame.lower(np.zeros(1))]))
    front = Ball(slopes, middle, 0.0, _RADIUS * height_px)
    back = float(np.max(lids[:, 2] - front.depth(t, v))) + _CLEARANCE * height_px
    return Ball(slopes, middle, back, _RADIUS * height_px)


def eyeball_part(frame: EyeFrame, ball: Ball, side: str, picture: Image) -> tuple[Part, Tile]:
    """Return the surface of an eyeball and its tile; side: the subject's, left or right."""
    half, beyond = frame.half_px, _BEYOND * frame.half_px
    top, bottom = float(frame.upper.values.min()) - beyond, float(frame.lower.values.max()) + beyond
    t, v = np.meshgrid(np.linspace(-_ACROSS * half, _ACROSS * half, _COLUMNS), np.linspace(top, bottom, _ROWS))
    t, v = t.ravel(), v.ravel()
    points = np.concatenate([frame.axes.pixels(t, v), ball.depth(t, v)[:, None]], axis=1)
    tile = _eye_tile(frame, points[:, :2], picture)
    name = f"eye_{side}"
    targets = {
        **{name: _gaze(frame, ball, (t, v), gaze) for name, gaze in GAZE_TARGETS.items()},
        f"blink_{side}": np.broadcast_to([0.0, 0.0, _RECEDES * ball.radius_px], points.shape).copy(),
    }
    return Part(name, points, grid_triangles(_ROWS, _COLUMNS), name, tile.texels(points[:, :2]), targets), tile


def socket_part(frame: EyeFrame, ball: Ball, skin: Part, side: str) -> Part:
    """Return the wall from the lids back to the eyeball, which closes the gap that a turned head would show.

    It has the picture of the lids' edges and moves with them.
    """
    contour = EYE_CONTOURS[0] if side == "right" else EYE_CONTOURS[1]
    lower, upper = contour[: len(contour) // 2 + 1], contour[len(contour) // 2 + 1 :]
    loop = [lower[0], *upper, *lower[:0:-1]]
    if side == "left":  # clockwise in the picture
        loop.reverse()
    edge = skin.points[loop]
    t, v = frame.axes.local(edge[:, :2])
    behind = edge.copy()
    behind[:, 2] = np.maximum(ball.depth(t, v), edge[:, 2]) + _SOCKET_BEHIND / _RADIUS * ball.radius_px
    targets = {name: np.tile(moved[loop], (2, 1)) for name, moved in skin.targets.items()}
    points = np.concatenate([edge, behind])
    return Part(
        f"socket_{side}", points, ring_triangles(len(loop), 2), "portrait", np.tile(skin.texels[loop], (2, 1)), targets
    )


def _gaze(
    frame: EyeFrame, ball: Ball, place: tuple[Float64Array, Float64Array], gaze: tuple[float, float]
) -> Float64Array:
    """Return the displacement (N, 3) at gaze 1: the iris slides over the eyeball, its surroundings follow less."""
    t, v = place
    outside = np.hypot(t - frame.iris.t_px, v - frame.iris.v_px) - _IRIS_WHOLE * frame.iris.radius_px
    weight = np.exp(-((np.maximum(outside, 0.0) / (_IRIS_FADE * frame.iris.radius_px)) ** 2))
    reach = frame.half_px * (_DRAWN_GAZE if frame.drawn else 1.0)
    along, down = (value * share * reach * weight for value, share in zip(gaze, GAZE_REACH, strict=True))
    shift = along[:, None] * frame.axes.along + down[:, None] * frame.axes.down
    depth = ball.depth(t + along, v + down) - ball.depth(t, v)
    return np.concatenate([shift, depth[:, None]], axis=1)


def _eye_tile(frame: EyeFrame, points: Float64Array, picture: Image) -> Tile:
    """Return the picture of the eye in which the eyeball continues behind the lids."""
    low = points.min(axis=0)
    size = points.max(axis=0) - low
    scale = max(1.0, _TILE_PX / float(size[0]))
    width, height = (int(np.ceil(scale * side)) + 1 for side in size)
    x, y = np.meshgrid(np.arange(width) / scale + low[0], np.arange(height) / scale + low[1])
    eye = cv2.remap(
        picture, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    t, v = frame.axes.local(np.stack([x, y], axis=-1))
    upper, lower = frame.upper(t), frame.lower(t)
    opening = frame.opening_px
    inside = (v > upper + _LASHES * opening) & (v < lower - _LOWER_LASHES * opening)
    inside &= np.abs(t) < _INSIDE_ACROSS * frame.half_px
    if inside.any():
        eye = cv2.inpaint(eye, (~inside).astype(np.uint8), _FILL_PX, cv2.INPAINT_TELEA)
    return Tile(np.asarray(eye, np.uint8), (float(low[0]), float(low[1])), scale)


def lid_displacements(frame: EyeFrame, ball: Ball, skin: Float64Array, contour: tuple[int, ...]) -> Float64Array:
    """Return the displacement (N, 3) of the skin at blink 1: the lids meet, and the skin around the eye stretches."""
    t, v = frame.axes.local(skin[:, :2])
    upper, lower = frame.upper(t), frame.lower(t)
    opening = np.maximum(lower - upper, 0.0)
    overlap = _OVERLAP * frame.half_px * np.minimum(opening, 1.0)
    outwards = float(np.sign(t[contour[0]]))
    drop = np.asarray(outer_drop(outwards * t / frame.half_px, frame.opening_px, np), np.float64)
    meet = upper + UPPER_LID_SHARE * opening + drop
    is_upper = v < (upper + lower) / 2.0
    half = len(contour) // 2
    is_upper[list(contour[1:half])] = False
    is_upper[list(contour[half + 1 :])] = True
    down = np.where(is_upper, _upper_travel(frame, v - upper, meet - upper + overlap), 0.0)
    bottom = _BELOW_REACH * frame.half_px
    below = np.clip(1.0 - (v - lower) / bottom, 0.0, 1.0)
    down = np.where(is_upper, down, (meet - lower) * below)
    chain = list(contour)
    landing = meet + np.where(is_upper, overlap, 0.0)
    down[chain] = np.where((opening[chain] > 0.0) | (drop[chain] > 0.0), (landing - v)[chain], 0.0)
    in_front = ball.depth(t, v + down) - _CLEARANCE * ball.radius_px / _RADIUS * 0.5
    forward = np.where(np.abs(down) > 0.0, np.minimum(in_front - skin[:, 2], 0.0), 0.0)
    beside = np.clip(2.0 * np.abs(down) / (UPPER_LID_SHARE * frame.opening_px + _MIN_HEIGHT_PX), 0.0, 1.0)
    beside[chain] = 1.0
    return np.concatenate([down[:, None] * frame.axes.down, (forward * beside)[:, None]], axis=1)


def lid_texels(frame: EyeFrame, skin: Float64Array, contour: tuple[int, ...]) -> Float64Array:
    """Return the places (N, 2) in the portrait that the edges of the lids show: a little outside the opening.

    At the opening itself, filtered look-ups mix the white and the iris in, which closed lids would show as a line.
    contour: vertices (N,) of the skin (M, 3).
    """
    lids = skin[list(contour), :2]
    half = len(contour) // 2
    aside = np.full(len(contour), _EDGE_OUTSIDE_BELOW)
    aside[half + 1 :] = -_EDGE_OUTSIDE_ABOVE
    aside[[0, half]] = 0.0
    places: Float64Array = lids + (aside * frame.half_px)[:, None] * frame.axes.down
    return places


def _upper_travel(frame: EyeFrame, below_lid: Float64Array, travel: Float64Array) -> Float64Array:
    """Return how far skin at ``below_lid`` (negative: above the upper lid) moves down when the lid moves by ``travel``.

    The band of the lashes moves with the lid, the skin above it stretches up to the fold below the brow.
    """
    fold = _LASH_BAND * frame.opening_px if frame.drawn else _FOLD_SHARE * frame.crease_px
    band = min(_LASH_BAND * frame.opening_px, 0.5 * fold)
    share = np.clip((below_lid + fold) / max(fold - band, _MIN_HEIGHT_PX), 0.0, 1.0)
    moved: Float64Array = travel * share
    return moved


def eyes_of(left: EyeFrame, right: EyeFrame) -> tuple[tuple[str, EyeFrame, tuple[int, ...]], ...]:
    """Return the subject's side, the frame and the contour of each eye; the left one is on the right of the picture."""
    return ("left", left, EYE_CONTOURS[1]), ("right", right, EYE_CONTOURS[0])
