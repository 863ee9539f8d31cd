"""Pictures of faces with and without something in front of the mouth, made from portraits with a free mouth."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.training.starter.cover_shapes import DRAWERS
from sadtalker_ext.training.starter.covered_face import CoveredFace, lip_outline
from sadtalker_ext.video.image_formats import open_image

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

    Random = np.random.Generator

MIN_COVERED: Final = 0.15
"""Share of the lips that a cover hides at least."""
BESIDE_SHARE: Final = 0.05
BESIDE_MARGIN: Final = 0.008
MIN_BESIDE_PX: Final = 200
"""Of an object beside the mouth: how much it may cover at most of the lips, which are widened by the margin (face
heights), and its smallest area in the picture."""
ATTEMPTS: Final = 12
"""Most attempts to draw an object that covers as much of the lips as required."""
REACH: Final = {"sheet": ((0.0, 0.02), (0.0, 0.0)), "cloth": ((0.0, -0.02), (0.0, 0.0))}
"""How far beyond the lips, in face heights, the edge of an object is placed: to the left and up, right and down."""
BEARD: Final = (132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 425, 327, 98, 205)
MOUSTACHE: Final = (98, 327, 391, 287, 410, 0, 186, 57, 165)
HAIR_RGB: Final = ((30, 25, 22), (80, 55, 40), (150, 110, 70), (190, 190, 185), (110, 60, 35))


class Example(NamedTuple):
    """picture: (H, W, 3). cover: (H, W) what is in front of the face, or None. kind: its name. covered: of the lips."""

    picture: Image
    cover: Float32Array | None
    kind: str
    covered: float


def cover_mouth(face: CoveredFace, random: Random) -> Example | None:
    """Return the face with an object in front of the lips, or None if none was found that hides enough of them."""
    lips = face.fill(face.points(lip_outline()))
    local = _local_lips(face)
    low, high = local.min(axis=0), local.max(axis=0)
    names = list(DRAWERS)
    odds = np.array([chance for chance, _ in DRAWERS.values()])
    for _ in range(ATTEMPTS):
        name = names[int(random.choice(len(names), p=odds / odds.sum()))]
        reach = np.array(REACH.get(name, ((0.1, 0.06), (0.1, 0.12))))
        cover = DRAWERS[name][1](face, random, random.uniform(low - reach[0], high + reach[1]))
        covered = float((cover.share * lips).sum() / max(float(lips.sum()), 1e-6))
        if covered >= MIN_COVERED:
            return _paste(face, random, (cover.share, cover.levels), Example(face.picture, None, name, covered))
    return None


def object_beside_mouth(face: CoveredFace, random: Random) -> Example | None:
    """Return the face with an object near the mouth that leaves the lips free, or None if none was found."""
    lips = (face.fill(face.points(lip_outline())) > 0.5).astype(np.uint8)
    margin = 2 * max(1, round(BESIDE_MARGIN * face.height_px)) + 1
    near = cv2.dilate(lips, np.ones((margin, margin), np.uint8))
    names = [name for name in DRAWERS if "mask" not in name]
    for _ in range(ATTEMPTS):
        name = names[int(random.integers(len(names)))]
        at = np.array([random.choice([-1, 1]) * random.uniform(0, 0.45), random.uniform(-0.25, 0.45)])
        cover = DRAWERS[name][1](face, random, at)
        if float((cover.share * near).max()) < BESIDE_SHARE and (cover.share > 0.5).sum() > MIN_BESIDE_PX:
            return _paste(face, random, (cover.share, cover.levels), Example(face.picture, None, f"beside: {name}", 0))
    return None


def disguise(face: CoveredFace, random: Random) -> Example:
    """Return the face with free but unusual lips: lipstick of any colour, shadow, beard, visor or face paint."""
    kinds = {"lipstick": _lipstick, "shadow": _shadow, "beard": _beard, "visor": _visor, "paint": _paint}
    name = list(kinds)[int(random.choice(5, p=[0.25, 0.25, 0.25, 0.13, 0.12]))]
    levels = kinds[name](face, random)
    return Example(np.clip(levels, 0, 255).astype(np.uint8), None, name, 0.0)


def _compress(picture: Image, quality: int) -> Image:
    """Return an RGB picture (H, W, 3) after JPEG compression with a quality of 0 to 100."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(open_image(io.BytesIO(data.tobytes())).convert("RGB"))


def change_picture(picture: Image, random: Random) -> Image:
    """Return the picture as it may come: as it is, grey, tinted, dark, blurred, compressed, noisy, or as a painting."""
    kind, levels = random.random(), picture.astype(np.float64)
    if kind < 0.35:
        return picture
    if kind < 0.50:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float64)
        levels = grey * (np.ones(3) if kind < 0.45 else random.uniform(0.3, 1, 3))
    elif kind < 0.62:
        levels *= random.uniform(0.55, 1.35, 3)
    elif kind < 0.73:
        levels *= random.uniform(0.2, 0.6) if kind < 0.68 else random.uniform(1.2, 1.7)
    elif kind < 0.79:
        return _compress(picture, int(random.integers(12, 50)))
    elif kind < 0.90:
        blurred = cv2.GaussianBlur(levels, (0, 0), random.uniform(0.8, 2.5))
        levels = (
            np.asarray(blurred, np.float64)
            if kind < 0.85
            else levels + random.normal(0, random.uniform(4, 16), picture.shape)
        )
    elif kind < 0.97:
        levels = _painting(picture, random)
    else:
        levels = 255 * (levels / 255) ** random.uniform(0.5, 1.8)
    return np.clip(levels, 0, 255).astype(np.uint8)


def _local_lips(face: CoveredFace) -> Float64Array:
    """Return the outline of the lips (N, 2) in face heights along the face's axes."""
    offset = (face.points(lip_outline()) - face.centre) / face.height_px
    return np.stack([offset @ face.along, offset @ face.down], axis=1)


def _paste(face: CoveredFace, random: Random, cover: tuple[Float32Array, Float32Array], example: Example) -> Example:
    """Return the example with the object, its soft edge and its shadow on the face."""
    share, levels = cover
    soft = cv2.GaussianBlur(share, (0, 0), max(0.4, random.uniform(0.001, 0.006) * face.height_px))
    shadow = cv2.GaussianBlur(share, (0, 0), random.uniform(0.01, 0.05) * face.height_px) * random.uniform(0, 0.45)
    behind = face.picture * (1 - shadow * (1 - soft))[..., None]
    drawn = behind * (1 - soft[..., None]) + levels * soft[..., None]
    return example._replace(picture=np.clip(drawn, 0, 255).astype(np.uint8), cover=np.asarray(soft, np.float32))


def _lipstick(face: CoveredFace, random: Random) -> Float64Array:
    inner = face.points([*topo.MOUTH_UPPER_INNER, *topo.MOUTH_LOWER_INNER[-2:0:-1]])
    lips = cv2.GaussianBlur(face.fill(face.points(lip_outline())), (0, 0), max(0.5, 0.008 * face.height_px))
    opening = cv2.GaussianBlur(face.fill(inner), (0, 0), max(0.5, 0.006 * face.height_px))
    share = (lips * (1 - opening) * random.uniform(0.4, 0.85))[..., None]
    red = random.uniform((100, 0, 20), (190, 50, 80))
    colour = red if random.random() < 0.5 else random.uniform(10, 200, 3)
    light = cv2.cvtColor(face.picture, cv2.COLOR_RGB2GRAY)[..., None] / 128.0
    return np.asarray(face.picture * (1 - share) + colour * light * share, np.float64)


def _shadow(face: CoveredFace, random: Random) -> Float64Array:
    angle = random.uniform(0, 2 * np.pi)
    x, y = (axis - middle / face.height_px for axis, middle in zip(face.grid(), face.centre, strict=True))
    away = np.cos(angle) * x + np.sin(angle) * y + random.uniform(-0.1, 0.1)
    share = 1 / (1 + np.exp(np.clip(-away / random.uniform(0.004, 0.03), -50, 50)))
    return np.asarray(face.picture * (1 - random.uniform(0.3, 0.65) * share)[..., None], np.float64)


def _beard(face: CoveredFace, random: Random) -> Float64Array:
    area = face.fill(face.points(BEARD if random.random() < 0.6 else MOUSTACHE))
    lips = cv2.GaussianBlur(face.fill(face.points(lip_outline())), (0, 0), max(0.5, 0.008 * face.height_px))
    soft = cv2.GaussianBlur(area, (0, 0), 0.015 * face.height_px) * (1 - lips * random.uniform(0.75, 1))
    noise = random.normal(0, 1, area.shape).astype(np.float32)
    hairs = cv2.GaussianBlur(
        noise, (0, 0), sigmaX=max(0.5, 0.006 * face.height_px), sigmaY=max(0.6, 0.012 * face.height_px)
    )
    strength = random.uniform(8, 30) / float(hairs.std())
    share = (soft * random.uniform(0.5, 0.92))[..., None]
    colour = np.array(HAIR_RGB[int(random.integers(len(HAIR_RGB)))], np.float64)
    return np.asarray(face.picture * (1 - share) + (colour + strength * hairs[..., None]) * share, np.float64)


def _visor(face: CoveredFace, random: Random) -> Float64Array:
    x, y = face.grid()
    share, level = random.uniform(0.05, 0.22), random.uniform(150, 255)
    shine = np.clip(np.sin((0.5 * x + y) * random.uniform(3, 9) + random.uniform(0, 6)) * 3 - 2, 0, 1)
    shine = (shine * random.uniform(0, 0.35))[..., None]
    return np.asarray((face.picture * (1 - share) + level * share) * (1 - shine) + 255 * shine, np.float64)


def _paint(face: CoveredFace, random: Random) -> Float64Array:
    edge = random.uniform(-0.1, 0.2)
    half = face.place(np.array([[-0.6, -1.0], [edge, -1.0], [edge, 1.0], [-0.6, 1.0]]))
    share = cv2.GaussianBlur(face.fill(half), (0, 0), 0.01 * face.height_px)[..., None]
    return np.asarray(face.picture * (1 - share * (1 - random.uniform(0.4, 1, 3))), np.float64)


def _painting(picture: Image, random: Random) -> Float64Array:
    """Return flat areas, some of them in few colours or with outlines."""
    smooth = picture
    for _ in range(int(random.integers(2, 6))):
        smooth = np.asarray(cv2.bilateralFilter(smooth, 7, random.uniform(20, 60), 5), np.uint8)
    levels = smooth.astype(np.float64)
    if random.random() < 0.5:
        count = int(random.integers(4, 10))
        levels = np.round(levels / 256 * count) / count * 256
    levels = levels * random.uniform(0.85, 1.15, 3)
    if random.random() < 0.4:
        grey = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)
        lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 4)
        levels = levels * (0.4 + 0.6 * lines[..., None] / 255)
    return np.asarray(levels, np.float64)
