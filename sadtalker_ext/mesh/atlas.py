"""The texture of a face mesh: the portrait, and below it the tiles of eyes, teeth and mouth."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.mesh.parts import Tile
from sadtalker_ext.puppet.backdrop import fill_background
from sadtalker_ext.puppet.warp import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

PORTRAIT: Final = "portrait"
LARGEST_PORTRAIT_PX: Final = 1536
"""Longest side of the portrait in the texture; a texture of 2048 pixels is safe on every device."""
_MARGIN_PX: Final = 4
"""Border around each tile that repeats its outermost texels, so that filtered look-ups do not mix tiles."""


def portrait_tile(picture: Image, points: Float64Array, mask: NDArray[np.bool_] | None) -> Tile:
    """Return the part of the picture that the mesh shows at ``points`` (N, 2), scaled down if it is large.

    mask: (H, W) pixels of the person; the others are filled from them, so that no background shows at the outline.
    """
    height, width = picture.shape[:2]
    box = Box.around(points, 2.0).clipped(width, height)
    left, top, right, bottom = (round(edge) for edge in box)
    window = (slice(top, bottom + 1), slice(left, right + 1))
    part = picture[window]
    if mask is not None and mask[window].any() and not mask[window].all():
        part = fill_background(part, (~mask[window]).astype(np.uint8))
    longest = max(part.shape[:2])
    if longest <= LARGEST_PORTRAIT_PX:
        return Tile(part, (float(left), float(top)), 1.0)
    scale = LARGEST_PORTRAIT_PX / longest
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return Tile(np.asarray(small, np.uint8), (left + 0.5 - 0.5 / scale, top + 0.5 - 0.5 / scale), scale)


def pack_tiles(tiles: dict[str, Tile]) -> tuple[Image, Callable[[str, Float64Array], Float32Array]]:
    """Return the texture, and a function that converts texels (N, 2) of a tile to texture coordinates."""
    places: dict[str, tuple[int, int]] = {}
    pad = 2 * _MARGIN_PX
    portrait = tiles[PORTRAIT].image
    total = max(portrait.shape[1] + pad, *(tile.image.shape[1] + pad for tile in tiles.values()))
    x, y, row = 0, 0, 0
    for name in sorted(tiles, key=lambda name: (name != PORTRAIT, -tiles[name].image.shape[0])):
        height, width = (side + pad for side in tiles[name].image.shape[:2])
        if x + width > total:
            x, y, row = 0, y + row, 0
        places[name] = (x + _MARGIN_PX, y + _MARGIN_PX)
        x, row = x + width, max(row, height)
    texture = np.zeros((y + row, total, 3), np.uint8)
    for name, (left, top) in places.items():
        image = tiles[name].image
        padded = np.pad(image, ((_MARGIN_PX, _MARGIN_PX), (_MARGIN_PX, _MARGIN_PX), (0, 0)), mode="edge")
        texture[top - _MARGIN_PX :, left - _MARGIN_PX :][: padded.shape[0], : padded.shape[1]] = padded

    def coordinates(name: str, texels: Float64Array) -> Float32Array:
        size = np.array([texture.shape[1], texture.shape[0]], np.float64)
        uv: Float32Array = ((texels + np.asarray(places[name]) + 0.5) / size).astype(np.float32)
        return uv

    return texture, coordinates
