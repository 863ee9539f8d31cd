"""Images that HEIF files derive from others: grids, overlays, crops, turns and mirrors, as operations on arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.video.heif_boxes import Fields, HeifError, Item

Pixels = NDArray[Any]
OPAQUE: Final = 255
SMALL: Final = 1e-6
"""Divisor where both pixels are transparent, so that their colour is 0."""


@dataclass(frozen=True)
class Grid:
    """Rows and columns of a grid, and the size of the picture as (width, height) (ISO/IEC 23008-12, 6.6.2.3.2)."""

    rows: int
    columns: int
    size_px: tuple[int, int]


@dataclass(frozen=True)
class Overlay:
    """Images placed on a canvas (ISO/IEC 23008-12, 6.6.2.2).

    fill: RGBA values of the canvas, 8 bits. size_px: its (width, height). places: (left, top) of each image, which may
    be outside the canvas.
    """

    fill: tuple[int, ...]
    size_px: tuple[int, int]
    places: list[tuple[int, int]]


def read_grid(data: bytes) -> Grid:
    """Return the description of a grid from the data of its item."""
    fields = Fields(data)
    _, flags = fields.number(1), fields.number(1)
    rows, columns = fields.number(1) + 1, fields.number(1) + 1
    width, height = (fields.number(4 if flags & 1 else 2) for _ in range(2))
    return Grid(rows, columns, (width, height))


def read_overlay(data: bytes, count: int) -> Overlay:
    """Return the description of an overlay of ``count`` images from the data of its item."""
    fields = Fields(data)
    _, flags = fields.number(1), fields.number(1)
    size = 4 if flags & 1 else 2
    fill = tuple(fields.number(2) >> 8 for _ in range(4))
    width, height = fields.number(size), fields.number(size)
    places = [tuple(int.from_bytes(fields.take(size), "big", signed=True) for _ in range(2)) for _ in range(count)]
    return Overlay(fill, (width, height), [(left, top) for left, top in places])


def compose(overlay: Overlay, layers: Iterable[Pixels]) -> Pixels:
    """Return the canvas (H, W, 4) with the images (H, W, 3 or 4) drawn in their order."""
    width, height = overlay.size_px
    if not (width and height):
        raise HeifError("its picture has no size")
    canvas = np.empty((height, width, 4), np.uint8)
    canvas[:] = overlay.fill
    for (left, top), layer in zip(overlay.places, layers, strict=True):
        part = layer[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
        below = canvas[max(0, top) :, max(0, left) :][: part.shape[0], : part.shape[1]]
        below[:] = _over(part, below) if part.shape[2] == 4 else with_alpha(part, np.full_like(part, OPAQUE))
    return canvas


def _over(upper: Pixels, lower: Pixels) -> Pixels:
    """Return RGBA pixels drawn over others (Porter and Duff 1984, straight alpha)."""
    share = upper[..., 3:].astype(np.float32) / OPAQUE
    rest = lower[..., 3:].astype(np.float32) / OPAQUE * (1 - share)
    alpha = share + rest
    colour = (upper[..., :3] * share + lower[..., :3] * rest) / np.maximum(alpha, SMALL)
    mixed: Pixels = np.concatenate([colour, alpha * OPAQUE], axis=2).round().astype(np.uint8)
    return mixed


def join_tiles(grid: Grid, tiles: Iterable[Pixels]) -> Pixels:
    """Return the picture of the tiles (H, W, C), row by row; HeifError if they do not fit its size."""
    width, height = grid.size_px
    joined: Pixels = np.zeros(0)
    shape: tuple[int, ...] = ()
    for number, tile in enumerate(tiles):
        if not shape:
            shape = tile.shape
            _check_fit(grid, shape)
            joined = np.zeros((height, width, shape[2]), tile.dtype)
        if tile.shape != shape:
            raise HeifError("its tiles differ in size")
        top, left = number // grid.columns * shape[0], number % grid.columns * shape[1]
        joined[top : top + shape[0], left : left + shape[1]] = tile[: height - top, : width - left]
    return joined


def _check_fit(grid: Grid, shape: tuple[int, ...]) -> None:
    (width, height), (tile_height, tile_width) = grid.size_px, shape[:2]
    fits = width <= tile_width * grid.columns < width + tile_width
    if not (fits and height <= tile_height * grid.rows < height + tile_height):
        raise HeifError(f"tiles of {tile_width} x {tile_height} px do not fit its {width} x {height} px")


def with_alpha(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Return RGB pixels (H, W, 3) with an alpha channel, the first one of ``alpha`` (H, W, C)."""
    if alpha.shape[:2] != pixels.shape[:2]:
        raise HeifError("its transparency has another size than the picture")
    return np.concatenate([pixels[..., :3], alpha[..., :1]], axis=2)


def transform(pixels: Pixels, item: Item) -> Pixels:
    """Apply crop, turn and mirror of an item in their order (ISO/IEC 23008-12, 6.5.9 to 6.5.12)."""
    for kind, content in item.properties:
        if kind == "clap":
            pixels = _crop(pixels, content)
        elif kind == "irot":
            pixels = np.rot90(pixels, Fields(content).number(1) & 3)
        elif kind == "imir":
            pixels = pixels[:, ::-1] if Fields(content).number(1) & 1 else pixels[::-1]
    return pixels


def _crop(pixels: Pixels, content: bytes) -> Pixels:
    """Return the clean aperture: its size, and the offset of its centre from that of the picture, as fractions."""
    fields = Fields(content)
    numbers = [int.from_bytes(fields.take(4), "big", signed=True) for _ in range(8)]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if any(divisor <= 0 for _, divisor in pairs):
        raise HeifError("its crop is not valid")
    width, height, right, down = (number / divisor for number, divisor in pairs)
    left = round((pixels.shape[1] - width) / 2 + right)
    top = round((pixels.shape[0] - height) / 2 + down)
    cropped = pixels[max(0, top) : top + round(height), max(0, left) : left + round(width)]
    if top < 0 or left < 0 or cropped.shape[:2] != (round(height), round(width)):
        raise HeifError("its crop exceeds the picture")
    return cropped
