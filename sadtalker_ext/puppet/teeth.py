"""Painted teeth and tongue, as small textures with the portrait's own light and colours.

Sizes are those of an average adult mouth (Wheeler's Dental Anatomy: crown widths of the upper incisors 8.5 and 6.5 mm,
canine 7.5 mm; lower incisors 5 and 5.5 mm, canine 7 mm), seen from the front: the arch foreshortens them to the sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array32 = NDArray[np.float32]

ACROSS: Final = 1.25
"""Textures span u = -ACROSS..ACROSS in half mouth widths."""
TEXTURE_WIDTH: Final = 640
TEXELS_PER_HEIGHT: Final = 1600
"""Texels per face height, vertically."""

_UPPER_EDGES: Final = (0.0, 0.335, 0.575, 0.80, 0.95, 1.08, 1.2)
_LOWER_EDGES: Final = (0.0, 0.205, 0.425, 0.66, 0.83, 0.97, 1.1)
_UPPER_LENGTH: Final = (1.0, 0.90, 0.98, 0.88, 0.80, 0.72)
_LOWER_LENGTH: Final = (0.97, 0.99, 1.0, 0.93, 0.85, 0.75)


@dataclass(frozen=True)
class Palette:
    """Colours of the mouth interior, (3,) float RGB levels 0..255."""

    enamel: Array32
    gum: Array32
    tongue: Array32
    cavity: Array32


@dataclass(frozen=True)
class Strip:
    """A texture (h, w, 4) float32: premultiplied RGB levels, alpha 0..1. Its first row lies at ``top`` face heights."""

    image: Array32
    top: float


def upper_teeth(palette: Palette) -> Strip:
    """Upper teeth with their gum; the incisal edge of the central incisors lies at 0."""
    return _teeth(palette, _UPPER_EDGES, _UPPER_LENGTH, length=0.062, upward=True)


def lower_teeth(palette: Palette) -> Strip:
    """Lower teeth with their gum; the incisal edge lies at 0."""
    return _teeth(palette, _LOWER_EDGES, _LOWER_LENGTH, length=0.052, upward=False)


def _teeth(
    palette: Palette, edges: tuple[float, ...], lengths: tuple[float, ...], length: float, upward: bool
) -> Strip:
    gum_height = 0.05
    rows = int((length + gum_height) * TEXELS_PER_HEIGHT)
    u = np.linspace(-ACROSS, ACROSS, TEXTURE_WIDTH, dtype=np.float32)
    depth = (np.arange(rows, dtype=np.float32) + 0.5) / TEXELS_PER_HEIGHT  # from the incisal edge towards the gum
    side, away = np.abs(u)[None, :], depth[:, None]
    index = np.clip(np.searchsorted(np.asarray(edges[1:]), np.abs(u)), 0, len(lengths) - 1)
    left, right = np.asarray(edges)[index], np.asarray(edges)[index + 1]
    across = ((np.abs(u) - left) / (right - left) * 2.0 - 1.0)[None, :]
    shorter = (1.0 - np.asarray(lengths)[index])[None, :] * 0.35 * length
    rounding = 0.0075 * np.abs(across) ** 3.5 + 0.003 * np.maximum(across, 0.0) ** 2
    rounding = rounding if upward else 0.35 * rounding
    edge = away - shorter - rounding
    gumline = length * (0.94 - 0.10 * np.abs(across) ** 2.5)
    tooth = _step(edge, 0.0018)
    gap = 1.0 - 0.24 * np.exp(-(((1.0 - np.abs(across)) / 0.07) ** 2)) * _step(edge, 0.012)
    form = 1.0 - 0.13 * np.abs(across) ** 2.5
    tip = 1.0 - 0.10 * np.exp(-((edge / 0.006) ** 2))
    neck = np.clip(away / length, 0.0, 1.0)
    turn = 1.0 / (1.0 + (side / (0.82 if upward else 0.70)) ** 4)
    light = (gap * form * tip * (0.35 + 0.65 * turn) * (1.0 - 0.12 * neck**2))[..., None]
    warm = 1.0 - np.array([0.0, 0.03, 0.10], np.float32) * (neck**2)[..., None]
    colour = palette.enamel * light * warm
    gum = _step(away - gumline, 0.004)[..., None]
    colour = colour * (1.0 - gum) + palette.gum * (0.4 + 0.6 * turn)[..., None] * gum
    reach = _step(ACROSS - 0.08 - side, 0.06) if upward else _step(0.66 - side, 0.16)
    alpha = tooth * reach * np.ones_like(edge)
    image = np.concatenate([colour * alpha[..., None], alpha[..., None]], axis=-1).astype(np.float32)
    image = cv2.GaussianBlur(image, (0, 0), 1.2)
    return Strip(image[::-1].copy(), -(length + gum_height)) if upward else Strip(image, 0.0)


def tongue(palette: Palette) -> Strip:
    """The tongue's upper surface, a soft mound; its highest point lies at 0."""
    rows = int(0.16 * TEXELS_PER_HEIGHT)
    u = np.linspace(-ACROSS, ACROSS, TEXTURE_WIDTH, dtype=np.float32)[None, :]
    depth = ((np.arange(rows, dtype=np.float32) + 0.5) / TEXELS_PER_HEIGHT)[:, None]
    outline = 0.05 * (np.abs(u) / 0.72) ** 2.6
    inside = depth - outline
    alpha = _step(inside - 0.004, 0.010) * _step(0.9 - np.abs(u), 0.15)
    furrow = 1.0 - 0.16 * np.exp(-((u / 0.07) ** 2)) * np.clip(inside / 0.05, 0.0, 1.0)
    light = furrow * (0.55 + 0.45 * np.clip(inside / 0.045, 0.0, 1.0)) * (1.0 - 0.35 * np.abs(u) ** 2)
    shine = 26.0 * np.exp(-(((np.abs(u) - 0.2) / 0.16) ** 2)) * np.exp(-(((inside - 0.045) / 0.014) ** 2))
    colour = palette.tongue * light[..., None] + (shine * float(palette.enamel.mean()) / 255.0)[..., None]
    image = np.concatenate([colour * alpha[..., None], alpha[..., None]], axis=-1)
    return Strip(cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2.0), 0.0)


def _step(x: Array32, soft: float) -> Array32:
    """0 below -soft, 1 above +soft."""
    position = np.clip(x / (2.0 * soft) + 0.5, 0.0, 1.0)
    return (position * position * (3.0 - 2.0 * position)).astype(np.float32)
