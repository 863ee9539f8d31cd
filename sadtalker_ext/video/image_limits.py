"""Limits of picture files, checked before they are decoded, so that no file takes minutes or all memory.

The number of pixels is limited by the reader of pictures. These limits are about the rest: a few kilobytes can ask for
thousands of passes over the picture, and Pillow reads lists of any length that a file declares.
"""

from __future__ import annotations

import mmap
import re
import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from sadtalker_ext.errors import MediaError
from sadtalker_ext.video.image_formats import HEAD_BYTES, RASTER

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_BYTES: Final = 1 << 30
"""A picture of 8192 x 8192 px with four channels of 32 bits, uncompressed."""
LARGEST_READ_BYTES: Final = 1 << 28
"""The same for WebP, AVIF and HEIF, which are read into memory as a whole."""
LARGEST_SLOW_BYTES: Final = 1 << 25
"""The same for Pillow's decoders in Python: up to 1.6 s for 1 MB."""
SLOW_DECODERS: Final = ("ppm", "ppm_plain", "bmp_rle")
MOST_SCANS: Final = 100
"""Of a JPEG file; programs write 1 to 14. Each takes 0.15 s for a picture of 8192 x 8192 px."""
MOST_CHUNKS: Final = 100_000
"""Of a PNG file up to the end of its first picture."""
MOST_VALUES: Final = 1_000_000
"""Of one tag of a TIFF file; a picture of 8192 x 8192 px in tiles of 16 px has 262,144 places of tiles."""
MOST_TAGS: Final = 1000
_BYTE_TYPES: Final = (1, 2, 6, 7)
"""TIFF's types of one byte; values of the others become lists of Python numbers."""
_WHOLE_BRANDS: Final = (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_NETPBM_SIZE: Final = re.compile(rb"P[1-7fFy](?:\s|#[^\r\n]*[\r\n])+[-\w.]+(?:\s|#[^\r\n]*[\r\n])+[-\w.]+\s")


def check_limits(file: Path) -> None:
    """MediaError for a picture that would take too much time or memory to open or decode."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
        if not head.startswith(RASTER) and head[4:8] != b"ftyp":
            return
        whole = head[8:12] == b"WEBP" or (head[4:8] == b"ftyp" and head[8:12] in _WHOLE_BRANDS)
        if whole or head[4:8] != b"ftyp":
            _check_bytes(file, size, LARGEST_READ_BYTES if whole else LARGEST_BYTES)
        complaint = ""
        if head.startswith(b"\xff\xd8") and _has_more(opened, b"\xff\xda", MOST_SCANS):
            complaint = f"has more than {MOST_SCANS} scans"
        elif head.startswith(b"\x89PNG") and _has_many_chunks(opened):
            complaint = f"has more than {MOST_CHUNKS:,} parts"
        elif head.startswith((b"II", b"MM")) and _has_long_tags(opened, head):
            complaint = f"has a tag of more than {MOST_VALUES:,} values"
        elif re.match(rb"P[1-7fFy]\s", head) and not _NETPBM_SIZE.match(head):
            complaint = "does not tell its size"
    if complaint:
        raise MediaError(f"The picture {file} is damaged or unusual: it {complaint}; save it as PNG or JPEG again")


def check_decoder(file: Path, image: Image) -> None:
    """MediaError for an opened picture too large for the slow decoder that it needs."""
    if any(tile[0] in SLOW_DECODERS for tile in image.tile):
        _check_bytes(file, file.stat().st_size, LARGEST_SLOW_BYTES)


def _check_bytes(file: Path, size: int, most: int) -> None:
    if size > most:
        raise MediaError(
            f"The picture {file} is a file of {size / 1e6:,.0f} MB, more than {most / 1e6:,.0f} MB in its format: save "
            "it as PNG or JPEG"
        )


def _has_more(file: IO[bytes], mark: bytes, most: int) -> bool:
    count, at = 0, -1
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while count <= most and (at := data.find(mark, at + 1)) >= 0:
            count += 1
    return count > most


def _has_many_chunks(file: IO[bytes]) -> bool:
    """Count the chunks of a PNG file up to the second picture of an animation."""
    file.seek(8)
    pictures = False
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        kind = head[4:]
        pictures = pictures or kind == b"IDAT"
        if len(head) < 8 or kind == b"IEND" or (pictures and kind in (b"fcTL", b"fdAT")):
            return False
        file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return True


def _has_long_tags(file: IO[bytes], head: bytes) -> bool:
    """Look through the first directory of a TIFF file, classic or BigTIFF."""
    order = "<" if head.startswith(b"II") else ">"
    big = 43 in head[2:4]
    place_form, count_form, entry_form = ("Q", "Q", "HHQ8x") if big else ("I", "H", "HHI4x")
    try:
        (place,) = struct.unpack_from(order + place_form, head, 8 if big else 4)
        file.seek(place)
        (tags,) = struct.unpack(order + count_form, file.read(struct.calcsize(order + count_form)))
        if tags > MOST_TAGS:
            return True
        entries = file.read(tags * struct.calcsize(order + entry_form))
    except (struct.error, OSError, OverflowError, ValueError):
        return False  # cut off: Pillow says so
    whole = len(entries) - len(entries) % struct.calcsize(order + entry_form)
    found = struct.iter_unpack(order + entry_form, entries[:whole])
    return any(count > MOST_VALUES and kind not in _BYTE_TYPES for _, kind, count in found)
