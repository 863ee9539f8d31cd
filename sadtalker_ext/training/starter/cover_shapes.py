"""Objects in front of a face, drawn with shapes and textures at random: microphones, hands, cloth, masks and others.

Positions and sizes are face heights along the face's axes, from the middle of the mouth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

    Random = np.random.Generator

MASK: Final = (6, 188, 118, 123, 137, 58, 172, 150, 176, 152, 400, 379, 397, 288, 366, 352, 347, 412)
"""Mesh points on the outline of a mask: bridge of the nose, cheeks, jaw."""
MASK_TOP: Final = {6: 0.9, 188: 0.6, 118: 0.6, 347: 0.6, 412: 0.6}
"""Points on the upper border of a mask, and by which share they follow it when it is worn lower."""
SKIN: Final = (50, 280, 101, 330, 151, 9)
"""Mesh points with bright skin."""
HAIR_RGB: Final = ((25, 20, 18), (70, 45, 30), (140, 100, 60), (190, 160, 110), (150, 150, 150), (90, 35, 20))


class Cover(NamedTuple):
    """share: (H, W) how much each pixel is covered, 0 to 1. levels: (H, W, 3) RGB of the object."""

    share: Float32Array
    levels: Float32Array


@dataclass(frozen=True)
class CoveredFace:
    """A face with its axes.

    mesh: (478, 3) pixels. centre: of the mouth. along, down: unit vectors. height_px: from the forehead to the chin.
    """

    picture: Image
    mesh: Float32Array
    centre: Float64Array
    along: Float64Array
    down: Float64Array
    height_px: float

    @classmethod
    def measure(cls, picture: Image, mesh: Float32Array) -> CoveredFace:
        """Return the axes of a face."""
        across = mesh[263, :2].astype(np.float64) - mesh[33, :2]
        along = across / max(float(np.linalg.norm(across)), 1e-6)
        height = float(np.linalg.norm(mesh[152, :2] - mesh[10, :2]))
        centre = mesh[lip_outline(), :2].astype(np.float64).mean(axis=0)
        return cls(picture, mesh, centre, along, np.array([-along[1], along[0]]), height)

    def points(self, indices: Sequence[int]) -> Float64Array:
        """Return mesh points (N, 2) in pixels."""
        return self.mesh[list(indices), :2].astype(np.float64)

    def place(self, points: Float64Array) -> Float64Array:
        """Return points (..., 2) in pixels of the picture."""
        moved = points[..., :1] * self.along + points[..., 1:] * self.down
        return np.asarray(self.centre + self.height_px * moved, np.float64)

    def fill(self, points: Float64Array) -> Float32Array:
        """Return the area (H, W) inside an outline (N, 2) in pixels."""
        area = np.zeros(self.picture.shape[:2], np.uint8)
        cv2.fillPoly(area, [np.rint(points * 16).astype(np.int32)], (255,), shift=4, lineType=cv2.LINE_AA)
        return (area / np.float32(255)).astype(np.float32)

    def line(self, start: Float64Array, end: Float64Array, width: float) -> Float32Array:
        """Return the area (H, W) of a thick line; points and width in face heights."""
        area = np.zeros(self.picture.shape[:2], np.uint8)
        first, last = (np.rint(self.place(point)).astype(int).tolist() for point in (start, end))
        cv2.line(area, first, last, (255,), max(1, round(width * self.height_px)), cv2.LINE_AA)
        return (area / np.float32(255)).astype(np.float32)

    def grid(self) -> tuple[Float32Array, Float32Array]:
        """Return x and y (H, W) in face heights of the picture."""
        y, x = np.mgrid[: self.picture.shape[0], : self.picture.shape[1]].astype(np.float32) / self.height_px
        return x, y

    def skin(self) -> Float64Array:
        """Return the RGB levels (3,) of the skin."""
        x, y = np.moveaxis(self.mesh[None, list(SKIN), :2], -1, 0)
        found = cv2.remap(self.picture, x, y, cv2.INTER_LINEAR)
        return np.asarray(np.median(found[0], axis=0), np.float64)


def lip_outline() -> list[int]:
    """Return the mesh points around both lips."""
    return [*topo.MOUTH_UPPER_OUTER, *topo.MOUTH_LOWER_OUTER[-2:0:-1]]


def draw_microphone(face: CoveredFace, random: Random, at: Float64Array) -> Cover:
    """A ball of wire or foam with a handle."""
    size = random.uniform(0.07, 0.17)
    angle = random.uniform(-1.2, 1.2)
    handle = face.line(at, at + 1.3 * np.array([np.sin(angle), np.cos(angle)]), random.uniform(0.5, 1.3) * size)
    x, y = face.grid()
    middle = face.place(at) / face.height_px
    away = np.hypot(x - middle[0], y - middle[1]) / size
    light = np.clip(1 - np.hypot(x - middle[0] + 0.4 * size, y - middle[1] + 0.4 * size) / size, 0, 1)
    step = max(2.0 / face.height_px, random.uniform(0.015, 0.03))
    wire = np.cos(2 * np.pi * (x + y) / step) * np.cos(2 * np.pi * (x - y) / step)
    ball = random.choice([30, 50, 70, 120]) + 70 * light + random.uniform(0, 14) * wire
    tint = random_colour(random, face.skin()) / 80 if random.random() < 0.25 else np.ones(3)
    stick = np.full(3, 38.0) * random.uniform(0.4, 2.0)
    levels = np.where((away < 1)[..., None], ball[..., None] * tint, stick)
    edge = np.clip((1 - away) * size * face.height_px + 0.5, 0, 1)
    return Cover(np.maximum(handle, edge).astype(np.float32), levels.astype(np.float32))


def draw_hand(face: CoveredFace, random: Random, at: Float64Array) -> Cover:
    """One to five fingers from below or from a side, mostly in the colour of the skin."""
    count, thick = int(random.integers(1, 6)), random.uniform(0.075, 0.12)
    angle = float(random.choice([random.uniform(-np.pi, np.pi), np.pi / 2 + random.normal(0, 0.5), random.normal()]))
    out, side = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    tone = face.skin() * random.uniform(0.7, 1.12) + random.normal(0, 4, 3)
    if random.random() < 0.15:
        tone = random_colour(random, face.skin())
    areas, levels = [], np.zeros(face.picture.shape, np.float32)
    for finger in random.permutation(count):
        tip = at + side * (finger - (count - 1) / 2) * 0.98 * thick - out * random.normal(0, 0.03)
        area = face.line(tip, tip + 1.2 * out + random.normal(0, 0.05, 2), thick)
        inside = cv2.distanceTransform((area > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        light = random.uniform(0.55, 0.8) + 0.4 * np.sqrt(np.clip(inside / (thick * face.height_px / 2), 0, 1))
        shaded = (light * (1 + 0.04 * clouds(face, random)))[..., None] * tone
        levels = np.asarray(levels * (1 - area[..., None]) + shaded * area[..., None], np.float32)
        areas.append(area)
    share = np.asarray(np.max(areas, axis=0), np.float32)
    return Cover(share, (levels + grain(face, random, 2.5)).astype(np.float32))


def draw_sheet(face: CoveredFace, random: Random, at: Float64Array) -> Cover:
    """All that is on one side of a wavy edge: a scarf, a collar, a cup, a sheet of paper, a phone."""
    angle = float(random.choice([np.pi / 2, 0.0, np.pi, random.uniform(-np.pi, np.pi)], p=[0.6, 0.1, 0.1, 0.2]))
    angle += random.normal(0, 0.15)
    out, side = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    half = float(random.choice([2.0, random.uniform(0.1, 0.5)]))
    steps = np.linspace(-half, half, 30)
    wave = random.uniform(0, 0.03) * np.sin(steps * random.uniform(2, 14) + random.uniform(0, 6))
    bend = random.uniform(-0.3, 0.5) * steps**2 if half > 1 else 0.0
    edge = at + steps[:, None] * side + (wave + bend)[:, None] * out
    depth = 2.0 if random.random() < 0.7 else random.uniform(0.15, 0.6)
    share = face.fill(face.place(np.concatenate([edge, edge[::-1] + depth * out])))
    return Cover(share, shaded_texture(face, random, share))


def draw_thing(face: CoveredFace, random: Random, at: Float64Array) -> Cover:
    """A rounded object: food, a flower, a ball."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rough = random.uniform(0, 0.4)
    radius = 1 + sum(rough * random.normal() / k * np.cos(k * turn + random.uniform(0, 6)) for k in (2, 3, 5))
    outline = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1) * random.uniform(0.05, 0.22, 2)
    angle = random.uniform(0, 6)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    share = face.fill(face.place(outline @ rotation + at))
    return Cover(share, shaded_texture(face, random, share))


def draw_hair(face: CoveredFace, random: Random, at: Float64Array) -> Cover:
    """A strand of long hair."""
    drawn, levels = np.zeros(face.picture.shape[:2], np.uint8), np.zeros(face.picture.shape, np.float32)
    colour = np.array(HAIR_RGB[int(random.integers(len(HAIR_RGB)))], np.float64)
    side, width, steps = random.choice([-1, 1]), random.uniform(0.02, 0.1), np.linspace(-1, 1, 24)
    for _ in range(int(random.integers(8, 45))):
        curve = side * 0.12 * steps**2 * random.uniform(0.5, 1.2) + random.normal(0, 0.02) * steps
        x, y = at[0] + random.normal(0, width) + curve, at[1] + steps * random.uniform(0.7, 1.0)
        line = [np.rint(face.place(np.stack([x, y], axis=1)) * 8).astype(np.int32)]
        thick = max(1, round(0.012 * face.height_px * random.uniform(0.5, 1.3)))
        cv2.polylines(drawn, line, False, (255,), thick, cv2.LINE_AA, 3)
        tone = tuple((colour * random.uniform(0.6, 1.5)).tolist())
        cv2.polylines(levels, line, False, tone, thick, cv2.LINE_AA, 3)
    levels = np.where(levels.sum(axis=-1, keepdims=True) > 0, levels, colour)
    return Cover((drawn / np.float32(255)).astype(np.float32), levels.astype(np.float32))


def draw_mask(face: CoveredFace, random: Random, _at: Float64Array) -> Cover:
    """A mask over the mouth, up to the nose or below it."""
    points = face.points(MASK)
    lowered = random.uniform(0, 0.75) * (face.mesh[164, :2] - face.mesh[6, :2])
    points += np.array([MASK_TOP.get(point, 0.0) for point in MASK])[:, None] * lowered
    middle = points.mean(axis=0)
    share = face.fill(middle + (points - middle) * random.uniform(1.0, 1.12))
    levels = shaded_texture(face, random, share)
    if random.random() < 0.5:
        y = face.grid()[1]
        levels *= (1 + random.uniform(0, 0.12) * np.sign(np.sin(y * random.uniform(15, 50))))[..., None]
    return Cover(share, levels)


def draw_printed_mask(face: CoveredFace, random: Random, at: Float64Array) -> Cover:
    """A mask with a mouth on it: a line, lips with or without teeth, or a photograph of lips."""
    share, levels = draw_mask(face, random, at)
    width, height, bend = random.uniform(0.12, 0.24), random.uniform(0.02, 0.10), random.uniform(-0.03, 0.08)
    steps, moved = np.linspace(-1, 1, 25), random.normal(0, 0.02, 2)
    curve = np.stack([steps * width, -bend * steps**2], axis=1) + moved
    bow = np.stack([0 * steps, height * (1 - steps**2)], axis=1)
    red = np.array([random.uniform(110, 230), random.uniform(20, 80), random.uniform(30, 100)])
    kind = random.random()
    if kind < 0.25:
        line = [np.rint(face.place(curve + bow)).astype(np.int32)]
        tone, thick = (random.uniform(0, 60),) * 3, max(1, round(random.uniform(0.008, 0.03) * face.height_px))
        cv2.polylines(levels, line, False, tone, thick, cv2.LINE_AA)
        return Cover(share, levels)
    lips = face.fill(face.place(np.concatenate([curve - random.uniform(0.2, 0.8) * bow, (curve + bow)[::-1]])))
    inside = face.fill(face.place(np.concatenate([curve - 0.2 * bow, (curve + 0.5 * bow)[::-1]])))
    levels = levels * (1 - lips[..., None]) + red * lips[..., None]
    teeth = np.array([240.0, 238.0, 230.0]) if kind < 0.7 else np.array([40.0, 10.0, 15.0])
    levels = levels * (1 - inside[..., None]) + teeth * inside[..., None]
    if kind > 0.9:
        outline = face.points(lip_outline())
        own = cv2.GaussianBlur(face.fill(face.centre + (outline - face.centre) * 1.15), (0, 0), 0.01 * face.height_px)
        levels = levels * (1 - own[..., None]) + face.picture * own[..., None]
    return Cover(share, levels.astype(np.float32))


DRAWERS: Final[dict[str, tuple[float, Callable[[CoveredFace, Random, Float64Array], Cover]]]] = {
    "microphone": (0.18, draw_microphone), "hand": (0.20, draw_hand), "sheet": (0.22, draw_sheet),
    "thing": (0.14, draw_thing), "hair": (0.06, draw_hair), "mask": (0.08, draw_mask),
    "printed mask": (0.12, draw_printed_mask),
}  # fmt: skip
"""Kinds of covers: how often each is drawn, and its function."""


def random_colour(random: Random, skin: Float64Array) -> Float64Array:
    """Return an RGB colour (3,): like the skin, grey, like lips, or any."""
    kind = random.random()
    if kind < 0.2:
        return np.asarray(skin * random.uniform(0.75, 1.15))
    if kind < 0.4:
        return np.asarray(random.uniform(15, 245) * random.uniform(0.93, 1.07, 3))
    if kind < 0.5:
        return np.array([random.uniform(120, 230), random.uniform(30, 90), random.uniform(40, 110)])
    return np.asarray(random.uniform(10, 245, 3))


def shaded_texture(face: CoveredFace, random: Random, share: Float32Array) -> Float32Array:
    """Return the levels (H, W, 3) of a plain, striped or checked surface, darker at the border of ``share``."""
    skin, (x, y) = face.skin(), face.grid()
    levels = np.broadcast_to(random_colour(random, skin), face.picture.shape)
    if random.random() < 0.45:
        angle, pitch = random.uniform(0, np.pi), 2 * random.uniform(4, 60)
        bent = random.uniform(0, 2) * clouds(face, random)
        stripes = np.sin(pitch * (np.cos(angle) * x + np.sin(angle) * y) + bent)
        if random.random() < 0.5:
            stripes = stripes * np.sin(pitch * (np.cos(angle) * y - np.sin(angle) * x))
        second = np.clip(0.5 + stripes * random.choice([0.5, 3.0]), 0, 1)[..., None] * random.uniform(0.1, 1)
        levels = levels * (1 - second) + random_colour(random, skin) * second
    slope = random.uniform(-0.6, 0.6) * (x - x.mean()) + random.uniform(-0.6, 0.6) * (y - y.mean())
    light = np.clip(1 + random.uniform(0, 0.25) * clouds(face, random) + slope, 0.3, 1.6)
    inside = cv2.distanceTransform((share > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / face.height_px
    low = random.uniform(0.5, 0.9)
    light = light * (low + (1 - low) * np.sqrt(np.clip(inside / random.uniform(0.03, 0.15), 0, 1)))
    return np.asarray(levels * light[..., None] + grain(face, random, random.uniform(0, 5)), np.float32)


def clouds(face: CoveredFace, random: Random) -> Float32Array:
    """Return smooth noise (H, W) of several sizes, about -1 to 1."""
    height, width = face.picture.shape[:2]
    total = np.zeros((height, width), np.float32)
    for size in (0.02, 0.054, 0.147, 0.4):
        cells = max(2, int(height / size / face.height_px) + 2), max(2, int(width / size / face.height_px) + 2)
        noise = random.normal(0, 1, cells).astype(np.float32)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) * (0.3 + 0.7 * random.random())
    return np.asarray(total / 2, np.float32)


def grain(face: CoveredFace, random: Random, strength: float) -> Float32Array:
    """Return fine noise (H, W, 1) in levels."""
    noise = random.normal(0, strength, face.picture.shape[:2]).astype(np.float32)
    return np.asarray(2 * cv2.GaussianBlur(noise, (0, 0), 0.8)[..., None], np.float32)
