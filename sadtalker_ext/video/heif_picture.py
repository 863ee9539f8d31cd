"""Decoding of HEIF pictures (HEIC, AVIF): the whole picture of all tiles, with colour, transparency and orientation.

The package reads the structure of the file (:mod:`~sadtalker_ext.video.heif_boxes`), ffmpeg decodes the coded items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, file_input, read_header
from sadtalker_ext.system.work_folder import WorkFolder
from sadtalker_ext.video.colour_tags import ColourTags, nclx_tags, parse_tags
from sadtalker_ext.video.decoded_picture import MAX_SIDE_PX, DecodedPicture, UnsupportedPictureError, check_size
from sadtalker_ext.video.heif_boxes import Fields, HeifError, HeifFile, Item, read_structure
from sadtalker_ext.video.heif_derived import (
    OPAQUE,
    Pixels,
    compose,
    join_tiles,
    read_grid,
    read_overlay,
    transform,
    with_alpha,
)
from sadtalker_ext.video.heif_streams import DEMUXERS, read_item, write_stream
from sadtalker_ext.video.read import SCALER, ppm_format, read_ppm
from sadtalker_ext.video.tone_mapping import convert_to_srgb

MAX_LEVELS: Final = 6
"""Levels of images that are made of other images."""
MAX_TILES: Final = (MAX_SIDE_PX // 64) ** 2
MAX_STREAMS: Final = 64
"""Images that are decoded one by one, such as those of an overlay; each starts ffmpeg."""
MAX_DECODED_PX: Final = 2 * MAX_SIDE_PX**2
"""Pixels of all images of a file together."""
_NO_DECODER: Final = re.compile(
    r"decoder .*not found|no decoder|unknown decoder|not currently supported", re.IGNORECASE
)
_STREAM_NAMES: Final = {"hevc": "HEVC", "ivf": "AV1", "h264": "AVC", "mjpeg": "JPEG"}


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
    """Decodes items of one file; ``profile`` is the first ICC profile that they state."""

    def __init__(self, file: FileRef, structure: HeifFile) -> None:
        self._file, self._structure = file, structure
        self._streams, self._decoded_px = 0, 0
        self._profile: bytes | None = None

    def decode(self) -> DecodedPicture:
        from PIL import Image

        pixels = self._image(self._structure.primary, ())
        check_size(self._file, (pixels.shape[1], pixels.shape[0]))
        return DecodedPicture(Image.fromarray(np.ascontiguousarray(pixels)), self._profile)

    def _image(self, number: int, outer: tuple[Item, ...], *, plane: bool = False) -> Pixels:
        """Return an image (H, W, 3 or 4) with its transparency, crop, turn and mirror.

        outer: the images that are made of this one; they may state its colour space. plane: return the values of its
        luma as they are stored (H, W, 1).
        """
        if len(outer) > MAX_LEVELS:
            raise HeifError("its pictures refer to each other too often")
        item = self._structure.item(number)
        pixels = self._untransformed(item, (*outer, item), plane=plane)
        alpha = self._structure.alpha.get(number)
        if alpha is not None and not plane:
            others = self._structure.item(alpha)
            pixels = with_alpha(pixels, self._untransformed(others, (*outer, item, others), plane=True))
        return pixels if plane else transform(pixels, item)

    def _untransformed(self, item: Item, line: tuple[Item, ...], *, plane: bool) -> Pixels:
        """Return the image of an item before its own crop, turn and mirror; ``line``: its outer images and itself."""
        if item.kind in ("iden", "tmap"):  # tmap: a picture and a map of its highlights; the picture is shown alone
            if not item.sources:
                raise HeifError("its main picture refers to no other picture")
            return self._image(item.sources[0], line, plane=plane)
        if item.kind == "grid":
            return self._grid(item, line, plane=plane)
        if item.kind == "iovl":
            overlay = read_overlay(read_item(self._file.path, self._structure, item), len(item.sources))
            self._count(*overlay.size_px)
            canvas = compose(overlay, (self._image(source, line) for source in item.sources))
            return canvas if canvas[..., 3].min() < OPAQUE else canvas[..., :3]
        return next(self._decoded([item], line, plane=plane))

    def _grid(self, item: Item, line: tuple[Item, ...], *, plane: bool) -> Pixels:
        grid = read_grid(read_item(self._file.path, self._structure, item))
        self._count(*grid.size_px)
        tiles = [self._structure.item(number) for number in item.sources]
        if grid.rows * grid.columns != len(tiles) or len(tiles) > MAX_TILES:
            raise HeifError(f"it has {len(tiles)} tiles where {grid.rows} x {grid.columns} are stated")
        kinds = {tile.kind for tile in tiles}
        if len(kinds) == 1 and kinds <= DEMUXERS.keys():
            return join_tiles(grid, self._decoded(tiles, line, plane=plane))
        return join_tiles(grid, (self._image(number, line, plane=plane)[..., :3] for number in item.sources))

    def _count(self, width: int, height: int) -> None:
        """Add an image to the size of all; MediaError if it is too large on its own, HeifError if all are together."""
        if max(width, height) > MAX_SIDE_PX:
            check_size(self._file, (width, height))
        self._decoded_px += width * height
        if self._decoded_px > MAX_DECODED_PX:
            raise HeifError("its pictures are too large together")

    def _decoded(self, items: list[Item], line: tuple[Item, ...], *, plane: bool) -> Iterator[Pixels]:
        """Yield the pictures of coded items of one kind in 8-bit sRGB (H, W, 3), or their luma (H, W, 1)."""
        self._check_coded(items)
        tags = None if plane else self._colour([*line, items[0]])
        with WorkFolder() as work:
            stream = work.root() / f"tiles.{DEMUXERS[items[0].kind]}"
            write_stream(self._file.path, self._structure, items, stream)
            if tags is not None and tags == ColourTags():
                tags = parse_tags(read_header(stream, self._file.role))
            for frame in self._frames(stream, len(items), tags):
                yield frame if frame.dtype == np.uint8 or tags is None else convert_to_srgb(frame, tags)

    def _check_coded(self, items: list[Item]) -> None:
        """Check kind and stated size of coded items before ffmpeg is started."""
        self._streams += 1
        if self._streams > MAX_STREAMS:
            raise HeifError(f"it is made of more than {MAX_STREAMS} pictures")
        for item in items:
            if item.kind not in DEMUXERS:
                raise self._unsupported(f"picture data of the kind {item.kind!r}")
            if any(kind == "rref" for kind, _ in item.properties):
                raise self._unsupported("picture data that depends on another picture")
        if len(items) == 1:
            fields = Fields(items[0].property("ispe") or b"")
            fields.version()
            self._count(fields.number(4), fields.number(4))

    def _unsupported(self, what: str) -> UnsupportedPictureError:
        return UnsupportedPictureError(
            "The ", self._file, f" has {what}, which cannot be read here: save it as PNG or JPEG, or install the "
            "package pillow-heif",
        )  # fmt: skip

    def _colour(self, items: list[Item]) -> ColourTags:
        """Return the colour space that the items state, the outer ones first; keep their ICC profile.

        The tiles of a grid may state the colours of the picture. With a profile, only matrix and range are returned.
        """
        stated = [content for item in items for kind, content in item.properties if kind == "colr"]
        profile = next((content[4:] for content in stated if content[:4] in (b"prof", b"rICC")), None)
        self._profile = self._profile or profile
        tags = ColourTags()
        for content in stated:
            if content[:4] == b"nclx":
                fields = Fields(content[4:])
                codes = fields.number(2), fields.number(2), fields.number(2)
                tags = nclx_tags(codes, full_range=bool(fields.number(1) & 0x80))
                break
        return ColourTags(matrix=tags.matrix, full_range=tags.full_range) if profile else tags

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
                raise self._unsupported(f"{_STREAM_NAMES[stream.suffix[1:]]} data")
            if decoded != count:
                raise HeifError(f"{count - decoded} of {count} tiles cannot be decoded")


def _filters(tags: ColourTags | None) -> str:
    """Return the filters that convert frames to RGB with the stated matrix and range; None: to the values of luma.

    An alpha plane uses all values, whatever range its stream states.
    """
    if tags is None:
        return "setparams=range=pc,format=gray"
    stated = []
    if tags.full_range is not None:
        stated.append(f"range={'pc' if tags.full_range else 'tv'}")
    if tags.matrix not in ("", "gbr"):
        stated.append(f"colorspace={tags.matrix}")
    override = f"setparams={':'.join(stated)}," if stated else ""
    return f"{override}scale=flags={SCALER},format={ppm_format(tags)}"
