"""The mouth: two lips that part over an interior of the portrait's own teeth, where it shows them, and painted ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet import teeth
from sadtalker_ext.puppet.face_geometry import Curve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.puppet.face_geometry import FaceGeometry, MouthFrame
    from sadtalker_ext.puppet.imaging import Imaging, Pixels, Texture

    Array = NDArray[np.float64]
    Array32 = NDArray[np.float32]
    Picture = NDArray[np.uint8]

OPEN_SOURCE_GAP: Final = 0.012
"""A source picture whose lips are farther apart than this (face heights) counts as an open mouth."""
CHANNELS: Final = ("xu", "yu", "xl", "yl", "xs", "ys", "du", "dl", "u", "wu", "wl", "ul")
"""Node channels of the mouth box: source pixels seen through the upper-lip, lower-lip and skull layers (x and y each);
distances below the upper and the lower lip edge; skull coordinates u (half widths), wu and wl (face heights below the
two lip edges of the source); and ul, the position along the lips (half widths), which moves with the corners."""


@dataclass(frozen=True)
class MouthState:
    """What the interior must know of one frame, in face heights: travel of jaw and lips, and parallax of the depth."""

    jaw: float
    opened: float
    roll_upper: float
    roll_lower: float
    parallax: tuple[float, float]


@dataclass(frozen=True)
class Mouth:
    """Everything about the mouth that depends on the portrait alone."""

    upper_teeth: Texture
    lower_teeth: Texture
    tongue: Texture
    palette: teeth.Palette
    own_teeth: float
    gap: float
    soft: float
    edge_rest: float


def refine_seam(picture: Picture, face: FaceGeometry) -> FaceGeometry:
    """Snap the seam of a closed mouth to the dark line between the lips (shortest path through the picture)."""
    mouth, unit = face.mouth, face.height_px
    if mouth.gap_px > OPEN_SOURCE_GAP * unit:
        return face
    columns, reach = 65, 0.028 * unit
    t = np.linspace(-0.97 * mouth.left_px, 0.97 * mouth.right_px, columns)
    middle = (mouth.upper(t) + mouth.lower(t)) / 2.0
    offsets = np.linspace(-reach, reach, 41)
    v = middle[None, :] + offsets[:, None]
    where = mouth.axes.origin + t[None, :, None] * mouth.axes.along + v[..., None] * mouth.axes.down
    sharp = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(sharp, (0, 0), max(0.6, 0.004 * unit))
    strip = cv2.remap(grey, where[..., 0].astype(np.float32), where[..., 1].astype(np.float32), cv2.INTER_LINEAR)
    spread = np.maximum(strip.std(axis=0, keepdims=True), 4.0)
    cost = (strip - strip.mean(axis=0, keepdims=True)) / spread + 1.4 * (offsets[:, None] / reach) ** 2
    path = _cheapest_path(cost.astype(np.float64))
    offset = np.convolve(np.pad(offsets[path], 3, mode="edge"), np.hanning(9)[1:-1] / np.hanning(9).sum(), "valid")
    taper = np.clip((1.0 - np.abs(mouth.normalised(t))) / 0.12, 0.0, 1.0)
    grid = mouth.upper.start + mouth.upper.step * np.arange(len(mouth.upper.values))
    base = (mouth.upper.values + mouth.lower.values) / 2.0
    seam = Curve(mouth.upper.start, mouth.upper.step, base + np.interp(grid, t, offset * taper, left=0.0, right=0.0))
    return replace(face, mouth=replace(mouth, upper=seam, lower=seam, gap_px=0.0))


def _cheapest_path(cost: Array) -> NDArray[np.int64]:
    """Row per column of the path with the least cost, moving at most one row a column (dynamic programming)."""
    rows, columns = cost.shape
    total = cost.copy()
    for column in range(1, columns):
        before = np.pad(total[:, column - 1], 1, constant_values=np.inf)
        choices = np.stack([before[:-2] + 0.25, before[1:-1], before[2:] + 0.25])
        total[:, column] += choices.min(axis=0)
    path = np.zeros(columns, np.int64)
    path[-1] = int(np.argmin(total[:, -1]))
    for column in range(columns - 2, -1, -1):
        row = int(path[column + 1])
        nearby = np.arange(max(row - 1, 0), min(row + 2, rows))
        step_cost = total[nearby, column] + 0.25 * (nearby != row)
        path[column] = int(nearby[np.argmin(step_cost)])
    return path


def build_mouth(picture: Picture, face: FaceGeometry, imaging: Imaging) -> Mouth:
    """Estimate the colours and paint the textures; ``face`` must be the refined one."""
    own, own_colour = _own_teeth(picture, face)
    palette = _palette(picture, face, own_colour)

    unit = face.height_px
    scale = min(1.0, 1.5 * unit / teeth.TEXELS_PER_HEIGHT)

    def keep(strip: teeth.Strip) -> Texture:
        rows, columns = strip.image.shape[:2]
        rows_now = max(8, round(rows * scale))
        size = (max(24, round(columns * scale)), rows_now)
        image = cv2.resize(strip.image, size, interpolation=cv2.INTER_AREA)
        return imaging.texture(image, origin=(0.0, strip.top), scale=rows_now / rows)

    return Mouth(
        upper_teeth=keep(teeth.upper_teeth(palette)),
        lower_teeth=keep(teeth.lower_teeth(palette)),
        tongue=keep(teeth.tongue(palette)),
        palette=palette,
        own_teeth=own,
        gap=face.mouth.gap_px / unit,
        soft=max(0.9 / unit, 0.0035),
        edge_rest=0.020,
    )


def _patch(picture: Picture, face_mouth: MouthFrame, t: Array, v: Array) -> Array32:
    where = face_mouth.axes.origin + t[..., None] * face_mouth.axes.along + v[..., None] * face_mouth.axes.down
    x, y = where[..., 0].astype(np.float32), where[..., 1].astype(np.float32)
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def _own_teeth(picture: Picture, face: FaceGeometry) -> tuple[float, Array32 | None]:
    """How much the picture's own mouth gap shows teeth (0..1), and their colour."""
    mouth = face.mouth
    if mouth.gap_px < OPEN_SOURCE_GAP * face.height_px:
        return 0.0, None
    t = np.linspace(-0.7 * mouth.left_px, 0.7 * mouth.right_px, 49)[None, :]
    share = np.linspace(0.15, 0.75, 13)[:, None]
    grid_t: Array
    grid_t, grid_share = np.meshgrid(t[0], share[:, 0])
    rows: Array = np.add(mouth.upper(grid_t) * (1.0 - grid_share), mouth.lower(grid_t) * grid_share)
    inside = _patch(picture, mouth, grid_t, rows).reshape(-1, 3)
    lip = _patch(picture, mouth, t, mouth.lower(t) + 0.5 * mouth.lower_thickness_px).reshape(-1, 3)
    luma = inside @ np.array([0.299, 0.587, 0.114], np.float32)
    lip_luma = float(np.median(lip @ np.array([0.299, 0.587, 0.114], np.float32)))
    redness = (inside[:, 0] - inside[:, 2]) / np.maximum(luma, 1.0)
    lip_redness = float(np.median((lip[:, 0] - lip[:, 2]) / np.maximum(lip @ np.full(3, 1 / 3, np.float32), 1.0)))
    bright = (luma > 1.12 * lip_luma) | ((luma > 0.8 * lip_luma) & (redness < 0.55 * lip_redness))
    amount = float(np.clip((bright.mean() - 0.25) / 0.3, 0.0, 1.0))
    if amount == 0.0:
        return 0.0, None
    return amount, np.percentile(inside[bright], 75, axis=0).astype(np.float32)


def _palette(picture: Picture, face: FaceGeometry, own_colour: Array32 | None) -> teeth.Palette:
    """Interior colours from the light on this face: brightest skin, whites of the eyes, and lips."""
    mouth = face.mouth
    t = np.linspace(-0.6 * mouth.left_px, 0.6 * mouth.right_px, 25)[None, :]
    lip = np.median(_patch(picture, mouth, t, mouth.lower(t) + 0.45 * mouth.lower_thickness_px).reshape(-1, 3), axis=0)
    side = np.linspace(-1.5 * mouth.left_px, 1.5 * mouth.right_px, 31)[None, :]
    rise = np.linspace(-0.22, -0.05, 9)[:, None] * face.height_px
    across: Array = side + 0.0 * rise
    skin = _patch(picture, mouth, across, rise + 0.0 * side).reshape(-1, 3)
    light = np.percentile(skin, 80, axis=0)
    level = float(light @ np.array([0.299, 0.587, 0.114]))
    tint = light / max(level, 1.0)
    white = np.array([1.0, 0.965, 0.90]) * (0.72 + 0.28 * tint)
    enamel = np.clip(white * (0.45 * 240.0 + 0.55 * min(1.15 * level, 248.0)), 0.0, 245.0)
    if own_colour is not None:
        enamel = 0.2 * enamel + 0.8 * own_colour
    lip_level = max(float(lip.mean()), 1.0)
    flesh = lip / lip_level * np.array([1.06, 0.94, 0.94])
    return teeth.Palette(
        enamel=enamel.astype(np.float32),
        gum=(flesh * lip_level * np.array([0.86, 0.72, 0.72])).astype(np.float32),
        tongue=(flesh * lip_level * np.array([0.84, 0.66, 0.66])).astype(np.float32),
        cavity=(flesh * lip_level * np.array([0.17, 0.11, 0.11])).astype(np.float32),
    )


def compose_mouth(mouth: Mouth, picture: Texture, maps: Pixels, state: MouthState, imaging: Imaging) -> Pixels:
    """Lips over interior in the mouth box: channel maps (h, w, len(CHANNELS)) -> (h, w, 3) levels."""
    xp = imaging.xp
    at = {name: maps[..., index] for index, name in enumerate(CHANNELS)}
    upper = imaging.to_float(imaging.sample(picture, maps[..., 0:2]))
    lower = imaging.to_float(imaging.sample(picture, maps[..., 2:4]))
    lens = xp.clip(1.15 * (1.0 - at["ul"] ** 2), 0.0, 1.0)
    from_upper, from_lower = at["du"] + state.roll_upper * lens, at["dl"] - state.roll_lower * lens
    above = 1.0 - _step(xp, from_upper / mouth.soft)
    below = _step(xp, from_lower / mouth.soft)
    below = xp.minimum(below, 1.0 - above)
    ajar = min(max(state.opened / 0.03, 0.0), 1.0) * xp.clip(2.0 * (1.0 - at["ul"] ** 2), 0.0, 1.0)
    rim = 0.30 * ajar
    upper = upper * (1.0 - rim * xp.exp(-((xp.clip(from_upper, -1.0, 0.0) / 0.011) ** 2)))[..., None]
    lower = lower * (1.0 - 0.6 * rim * xp.exp(-((xp.clip(from_lower, 0.0, 1.0) / 0.008) ** 2)))[..., None]
    between = xp.clip((1.02 - xp.abs(at["ul"])) / 0.07, 0.0, 1.0)
    gap = xp.clip(1.0 - above - below, 0.0, 1.0) * between
    levels = upper * above[..., None] + lower * below[..., None]
    hole = _bounds(gap > 0.004)
    if hole is not None:
        inside = _interior(mouth, picture, maps[hole], state, imaging)
        levels[hole] = levels[hole] + inside * gap[hole][..., None]
    return levels / xp.clip(above + below + gap, 1e-3, 2.0)[..., None]


def _bounds(flags: Pixels) -> tuple[slice, slice] | None:
    """The smallest window (rows, columns) that holds every set flag, or None."""
    rows, columns = flags.any(1).nonzero(), flags.any(0).nonzero()
    rows, columns = (found[0] if isinstance(found, tuple) else found[:, 0] for found in (rows, columns))
    if len(rows) == 0:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _step(xp: ModuleType, x: Pixels) -> Pixels:
    """0 below -1, 1 above 1, symmetric about 0."""
    position = xp.clip(0.5 * x + 0.5, 0.0, 1.0)
    return position * position * (3.0 - 2.0 * position)


def _interior(mouth: Mouth, picture: Texture, maps: Pixels, state: MouthState, imaging: Imaging) -> Pixels:
    """Cavity, tongue, lower teeth, upper teeth and the picture's own teeth, from back to front: (h, w, 3) levels."""
    xp = imaging.xp
    at = {name: maps[..., index] for index, name in enumerate(CHANNELS)}
    shift_u, shift_w = state.parallax
    u, upper, lower = at["u"] + shift_u, at["wu"] + shift_w, at["wl"] + shift_w - state.jaw
    falloff = xp.exp(-((at["u"] / 0.95) ** 4))
    depth = 0.55 + 0.45 * xp.clip(at["wu"] / 0.12, 0.0, 1.0)
    colour = imaging.array(mouth.palette.cavity) * (depth * (0.35 + 0.65 * falloff))[..., None]
    colour = _over(mouth.tongue, u, lower + 0.016 + 0.36 * state.jaw, colour, imaging, 0.80)
    colour = _over(mouth.lower_teeth, u, lower + 0.004, colour, imaging, 0.58)
    bow = 0.010 * u * u
    colour = _over(mouth.upper_teeth, u, upper - mouth.edge_rest + bow, colour, imaging, 1.0)
    below_upper = xp.clip(at["du"] + state.roll_upper, 0.0, 1.0)
    above_lower = xp.clip(state.roll_lower - at["dl"], 0.0, 1.0)
    shade = 1.0 - 0.50 * xp.exp(-below_upper / 0.012) - 0.35 * xp.exp(-above_lower / 0.012)
    side = 1.0 - 0.65 * _step(xp, (xp.abs(at["u"]) - 0.86) / 0.30)
    painted = colour * (xp.clip(shade, 0.0, 1.0) * side)[..., None]
    if mouth.gap <= 0.0:
        return painted
    own = imaging.to_float(imaging.sample(picture, maps[..., 4:6]))
    share = _own_share(mouth, at, state, xp)[..., None]
    return own * share + painted * (1.0 - share)


def _own_share(mouth: Mouth, at: dict[str, Pixels], state: MouthState, xp: ModuleType) -> Pixels:
    """Where the source picture's own mouth interior is shown: all of it at rest, its teeth when the mouth moves."""
    moved = min(max(state.opened / 0.025, 0.0), 1.0)
    retreat = 0.010 * moved
    soft = 1.6 * mouth.soft + 0.004 * moved
    inside = _step(xp, (at["wu"] + 2.0 * mouth.soft * (1.0 - moved)) / mouth.soft)
    above_edge = 1.0 - _step(xp, (at["wl"] + retreat - 3.0 * mouth.soft * (1.0 - moved)) / soft)
    return inside * above_edge * (1.0 - moved * (1.0 - mouth.own_teeth))


def _over(texture: Texture, u: Pixels, w: Pixels, behind: Pixels, imaging: Imaging, light: float) -> Pixels:
    """Lay a strip over ``behind`` at coordinates u (half widths) and w (face heights below its zero line)."""
    strip = imaging.sample_strip(texture, u, w)
    return strip[..., :3] * light + behind * (1.0 - strip[..., 3:4])
