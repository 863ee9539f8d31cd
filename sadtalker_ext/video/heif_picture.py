"""Decoding of HEIF pictures (HEIC, AVIF): the whole picture of all tiles, with colour, transparency and orientation.

The package reads the structure of the file (:mod:`~sadtalker_ext.video.heif_boxes`), ffmpeg decodes the coded items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, file_input, read_header
from sadtalker_ext.system.work_folder import WorkFolder
from sadtalker_ext.video.colour_tags import ColourTags, nclx_tags, parse_tags
from sadtalker_ext.video.decoded_picture import MAX_SIDE_PX, DecodedPicture, UnsupportedPictureError, check_size
from sadtalker_ext.video.heif_boxes import Fields, HeifError, HeifFile, Item, read_structure
from sadtalker_ext.video.heif_streams import DEMUXERS, read_item, write_stream
from sadtalker_ext.video.read import SCALER, ppm_format, read_ppm
from sadtalker_ext.video.tone_mapping import convert_to_srgb

Pixels = NDArray[Any]

MAX_DERIVATIONS: Final = 4
"""Levels of images that are made of another image."""
MAX_TILES: Final = (MAX_SIDE_PX // 64) ** 2
_NO_DECODER: Final = re.compile(
    r"decoder .*not found|no decoder|unknown decoder|not currently supported", re.IGNORECASE
)


@dataclass(frozen=True)
class _Grid:
    """Coded items of one type in rows, and the size of the picture; (0, 0) if it is that of the single item."""

    items: list[Item]
    columns: int = 1
    size_px: tuple[int, int] = (0, 0)


def decode_heif(file: FileRef) -> DecodedPicture | None:
    """Return the main picture of a HEIF file; None for other files.

    MediaError if it is damaged or too large, UnsupportedPictureError if it needs something that ffmpeg lacks.
    """
    try:
        structure = read_structure(file.path)
        return None if structure is None else _HeifDecoder(file, structure).decode()
    except HeifError as e:
        raise MediaError("The ", file, f" is damaged or incomplete ({e}): export or download it again") from e


class _HeifDecoder:
    def __init__(self, file: FileRef, structure: HeifFile) -> None:
        self._file, self._structure = file, structure

    def decode(self) -> DecodedPicture:
        from PIL import Image

        derived = self._derivations()
        grid = self._grid(derived[-1][1])
        tags, profile = self._colour([item for _, item in derived], grid)
        pixels = self._pixels(grid, ColourTags(matrix=tags.matrix, full_range=tags.full_range) if profile else tags)
        alpha = next((self._structure.alpha[number] for number, _ in derived if number in self._structure.alpha), None)
        if alpha is not None:
            pixels = _with_alpha(pixels, self._pixels(self._grid(self._structure.item(alpha)), None))
        for _, item in reversed(derived):
            pixels = _transform(pixels, item)
        check_size(self._file, (pixels.shape[1], pixels.shape[0]))
        return DecodedPicture(Image.fromarray(np.ascontiguousarray(pixels)), profile)

    def _derivations(self) -> list[tuple[int, Item]]:
        """Return the main item and those that it is derived from without tiles; the last one is a grid or is coded.

        ``tmap`` combines a picture with a map of its highlights; the picture alone is shown.
        """
        number = self._structure.primary
        derived = [(number, self._structure.item(number))]
        while (item := derived[-1][1]).kind in ("iden", "tmap"):
            if len(derived) > MAX_DERIVATIONS or not item.sources:
                raise HeifError("its main picture refers to no other picture")
            derived.append((item.sources[0], self._structure.item(item.sources[0])))
        return derived

    def _grid(self, item: Item) -> _Grid:
        """Return the coded items of a picture (ISO/IEC 23008-12, 6.6.2.3.2)."""
        if item.kind != "grid":
            self._check_kind(item)
            self._check_stated_size(item)
            return _Grid([item])
        fields = Fields(read_item(self._file.path, self._structure, item))
        _, flags = fields.number(1), fields.number(1)
        rows, columns = fields.number(1) + 1, fields.number(1) + 1
        width, height = (fields.number(4 if flags & 1 else 2) for _ in range(2))
        check_size(self._file, (width, height))
        tiles = [self._structure.item(number) for number in item.sources]
        if rows * columns != len(tiles) or len(tiles) > MAX_TILES:
            raise HeifError(f"it has {len(tiles)} tiles where {rows} x {columns} are stated")
        for tile in tiles:
            self._check_kind(tile)
        if len({tile.kind for tile in tiles}) > 1:
            raise HeifError("its tiles are coded differently")
        return _Grid(tiles, columns, (width, height))

    def _check_kind(self, item: Item) -> None:
        if item.kind not in DEMUXERS:
            raise self._unsupported(f"picture data of the kind {item.kind!r}")

    def _check_stated_size(self, item: Item) -> None:
        fields = Fields(item.property("ispe") or b"")
        fields.version()
        check_size(self._file, (fields.number(4), fields.number(4)))

    def _unsupported(self, what: str) -> UnsupportedPictureError:
        return UnsupportedPictureError(
            "The ", self._file, f" has {what}, which cannot be read here: save it as PNG or JPEG, or install the "
            "package pillow-heif",
        )  # fmt: skip

    def _colour(self, items: list[Item], grid: _Grid) -> tuple[ColourTags, bytes | None]:
        """Return the colour space and ICC profile that the items state; the tiles may state them for the picture."""
        stated = [content for item in (*items, grid.items[0]) for kind, content in item.properties if kind == "colr"]
        profile = next((content[4:] for content in stated if content[:4] in (b"prof", b"rICC")), None)
        for content in stated:
            if content[:4] == b"nclx":
                fields = Fields(content[4:])
                codes = fields.number(2), fields.number(2), fields.number(2)
                return nclx_tags(codes, full_range=bool(fields.number(1) & 0x80)), profile
        return ColourTags(), profile

    def _pixels(self, grid: _Grid, tags: ColourTags | None) -> Pixels:
        """Return the picture of all tiles in 8-bit sRGB (H, W, 3), or the values of an alpha plane (H, W, 1)."""
        with WorkFolder() as work:
            stream = work.root() / f"tiles.{DEMUXERS[grid.items[0].kind]}"
            write_stream(self._file.path, self._structure, grid.items, stream)
            if tags is not None and tags == ColourTags():
                tags = parse_tags(read_header(stream, self._file.role))
            return self._join(grid, self._frames(stream, len(grid.items), tags), tags)

    def _join(self, grid: _Grid, frames: Iterator[Pixels], tags: ColourTags | None) -> Pixels:
        first = next(frames)
        tile_height, tile_width = first.shape[:2]
        width, height = grid.size_px if grid.size_px != (0, 0) else (tile_width, tile_height)
        rows = len(grid.items) // grid.columns
        fits = width <= tile_width * grid.columns < width + tile_width
        if not (fits and height <= tile_height * rows < height + tile_height):
            raise HeifError(f"tiles of {tile_width} x {tile_height} px do not fit its {width} x {height} px")
        joined = np.zeros((height, width, first.shape[2]), np.uint8)
        for number, frame in enumerate(chain([first], frames)):
            if frame.shape != first.shape:
                raise HeifError("its tiles differ in size")
            top, left = number // grid.columns * tile_height, number % grid.columns * tile_width
            part = frame[: height - top, : width - left]
            joined[top : top + tile_height, left : left + tile_width] = (
                part if part.dtype == np.uint8 or tags is None else convert_to_srgb(part, tags)
            )
        return joined

    def _frames(self, stream: Path, count: int, tags: ColourTags | None) -> Iterator[Pixels]:
        """Yield the decoded tiles in order; HeifError if some are missing."""
        source = ["-max_pixels", str(MAX_SIDE_PX**2), *file_input(stream, stream.suffix[1:])]
        output = ["-map", "0:v:0", "-frames:v", str(count), "-vf", _filters(tags), "-c:v", "ppm" if tags else "pgm"]
        arguments = ["-v", "error", *source, *output, "-f", "image2pipe", "-"]
        with Ffmpeg(arguments, ("Reading the ", self._file)) as process:
            decoded = 0
            while (frame := read_ppm(process.stdout)) is not None:
                decoded += 1
                yield frame
            process.finish()
            if decoded == 0 and _NO_DECODER.search(process.text()):
                raise self._unsupported(f"{stream.suffix[1:].upper().replace('IVF', 'AV1')} data")
            if decoded != count:
                raise HeifError(f"{count - decoded} of {count} tiles cannot be decoded")


def _filters(tags: ColourTags | None) -> str:
    """Return the filters that convert frames to RGB with the stated matrix and range; None: to the values of luma."""
    if tags is None:
        return "format=gray"
    stated = []
    if tags.full_range is not None:
        stated.append(f"range={'pc' if tags.full_range else 'tv'}")
    if tags.matrix not in ("", "gbr"):
        stated.append(f"colorspace={tags.matrix}")
    override = f"setparams={':'.join(stated)}," if stated else ""
    return f"{override}scale=flags={SCALER},format={ppm_format(tags)}"


def _with_alpha(pixels: Pixels, alpha: Pixels) -> Pixels:
    if alpha.shape[:2] != pixels.shape[:2]:
        raise HeifError("its transparency has another size than the picture")
    return np.concatenate([pixels, alpha[..., :1]], axis=2)


def _transform(pixels: Pixels, item: Item) -> Pixels:
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
