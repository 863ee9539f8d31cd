"""A face with its axes, and the surfaces of objects that are drawn over it.

Positions and sizes are face heights along the face's axes, from the middle of the mouth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

    Random = np.random.Generator

SKIN: Final = (50, 280, 101, 330, 151, 9)
"""Mesh points with bright skin."""


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
