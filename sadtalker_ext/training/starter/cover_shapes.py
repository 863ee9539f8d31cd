"""Objects in front of a face, drawn with shapes and textures at random: microphones, hands, cloth, masks and others.

Positions and sizes are face heights along the face's axes, from the middle of the mouth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.training.starter.covered_face import (
    Cover,
    CoveredFace,
    clouds,
    grain,
    lip_outline,
    random_colour,
    shaded_texture,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sadtalker_ext.arrays import Float32Array, Float64Array

    Random = np.random.Generator

MASK: Final = (6, 188, 118, 123, 137, 58, 172, 150, 176, 152, 400, 379, 397, 288, 366, 352, 347, 412)
"""Mesh points on the outline of a mask: bridge of the nose, cheeks, jaw."""
MASK_TOP: Final = {6: 0.9, 188: 0.6, 118: 0.6, 347: 0.6, 412: 0.6}
"""Points on the upper border of a mask, and by which share they follow it when it is worn lower."""
HAIR_RGB: Final = ((25, 20, 18), (70, 45, 30), (140, 100, 60), (190, 160, 110), (150, 150, 150), (90, 35, 20))

FINGER_ODDS: Final = (0.45, 0.25, 0.10, 0.12, 0.08)
"""Odds of one to five fingers: a single one is hard to tell from the skin behind it."""


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
    count, thick = int(random.choice(5, p=FINGER_ODDS)) + 1, random.uniform(0.065, 0.12)
    upright, any_angle = np.pi / 2 + random.normal(0, 0.3), random.uniform(-np.pi, np.pi)
    angle = float(
        random.choice([upright, any_angle, random.normal(), np.pi + random.normal()], p=[0.5, 0.25, 0.13, 0.12])
    )
    out, side = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    tone = face.skin() * random.uniform(0.7, 1.12) + random.normal(0, 4, 3)
    if random.random() < 0.15:
        tone = random_colour(random, face.skin())
    share, levels = np.zeros(face.picture.shape[:2], np.float32), np.zeros(face.picture.shape, np.float32)
    for finger in random.permutation(count):
        tip = at + side * (finger - (count - 1) / 2) * 0.98 * thick - out * random.normal(0, 0.03)
        area, shaded = _finger(face, random, (tip, tip + 1.2 * out + random.normal(0, 0.05, 2)), thick)
        levels = np.asarray(levels * (1 - area[..., None]) + shaded * tone * area[..., None], np.float32)
        share = np.maximum(share, area)
    return Cover(share, (levels + grain(face, random, 2.5)).astype(np.float32))


def _finger(
    face: CoveredFace, random: Random, ends: tuple[Float64Array, Float64Array], thick: float
) -> tuple[Float32Array, Float32Array]:
    """Return the area (H, W) of a finger with a narrower tip, and the light (H, W, 3) on it, its nail and joints."""
    tip, end = ends
    out = (end - tip) / max(float(np.linalg.norm(end - tip)), 1e-6)
    narrow = thick * random.uniform(0.75, 1.0)
    area = np.maximum(face.line(tip, end, narrow), face.line(tip + random.uniform(0.08, 0.2) * out, end, thick))
    inside = cv2.distanceTransform((area > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    light = random.uniform(0.55, 0.8) + 0.4 * np.sqrt(np.clip(inside / (thick * face.height_px / 2), 0, 1))
    light = light * (1 + 0.04 * clouds(face, random))
    if random.random() < 0.5:
        across = 0.4 * thick * np.array([-out[1], out[0]])
        for joint in (tip + random.uniform(0.12, 0.2) * out, tip + random.uniform(0.3, 0.4) * out):
            light *= 1 - random.uniform(0.05, 0.2) * face.line(joint - across, joint + across, 0.012)
    shaded = np.repeat(light[..., None], 3, axis=2)
    if random.random() < 0.5:
        nail = face.line(tip, tip + 0.35 * thick * out, 0.55 * thick)[..., None]
        shaded = shaded * (1 - nail) + nail * random.uniform(0.9, 1.3) * random.uniform(0.8, 1.1, 3)
    return area, np.asarray(shaded, np.float32)


def draw_cloth(face: CoveredFace, random: Random, at: Float64Array) -> Cover:
    """Soft cloth up to a long edge, light more often than dark: a scarf, a polo neck, a blanket."""
    steps = np.linspace(-2.0, 2.0, 60)
    wave = random.uniform(0, 0.015) * np.sin(steps * random.uniform(2, 20) + random.uniform(0, 6))
    edge = at[1] + random.uniform(-0.1, 0.3) * steps**2 + wave + random.normal(0, 0.08) * steps
    edge += at[1] - np.interp(0.0, steps, edge)
    below = [[2.0, 3.0], [-2.0, 3.0]]
    share = face.fill(face.place(np.concatenate([np.stack([steps, edge], axis=1), below])))
    kind, x, y = random.random(), *face.grid()
    colour = np.asarray(random.uniform(170, 250) * random.uniform(0.92, 1.05, 3), np.float64)
    if kind > 0.4:
        colour = face.skin() * random.uniform(0.8, 1.2) if kind < 0.65 else random.uniform(20, 250, 3)
    depth = cv2.distanceTransform((share > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / face.height_px
    folds = random.uniform(10, 60) * depth + random.uniform(0, 2) * clouds(face, random) + random.uniform(-3, 3) * x
    light = 1 + random.uniform(0, 0.15) * np.sin(folds) + random.uniform(-0.4, 0.4) * (x - x.mean())
    low = random.uniform(0.6, 1.0)
    light = light * (low + (1 - low) * np.sqrt(np.clip(depth / random.uniform(0.02, 0.12), 0, 1)))
    if random.random() < 0.4:
        stitch = random.uniform(40, 150)
        light = light * (1 + random.uniform(0.02, 0.1) * np.sin(x * stitch) * np.sin(y * stitch))
    levels = colour * light[..., None] + grain(face, random, random.uniform(0, 4))
    return Cover(share, np.asarray(levels, np.float32))


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


def draw_object(face: CoveredFace, random: Random, at: Float64Array) -> Cover:
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
    "microphone": (0.14, draw_microphone), "hand": (0.24, draw_hand), "sheet": (0.15, draw_sheet),
    "cloth": (0.17, draw_cloth), "thing": (0.10, draw_object), "hair": (0.04, draw_hair), "mask": (0.06, draw_mask),
    "printed mask": (0.10, draw_printed_mask),
}  # fmt: skip
"""Kinds of covers: how often each is drawn, and its function."""
