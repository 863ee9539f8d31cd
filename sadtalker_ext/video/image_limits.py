"""Limits of picture files, checked before decoding, so that no file takes minutes or exhausts the memory.

:mod:`sadtalker_ext.video.picture` limits the number of pixels. These limits cover the rest: a few kilobytes can request
thousands of passes over the picture, and Pillow reads lists of any declared length.
"""

from __future__ import annotations

import mmap
import re
import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.video.image_formats import HEAD_BYTES, RASTER

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES: Final = 1 << 30
"""Limit of the file size: 8192 x 8192 px with four channels of 32 bits, uncompressed."""
MAX_READ_BYTES: Final = 1 << 28
"""Limit for WebP, AVIF and HEIF, which are read into memory as a whole."""
MAX_SLOW_BYTES: Final = 1 << 25
"""Limit for Pillow's decoders written in Python, which take up to 1.6 s per MB."""
SLOW_DECODERS: Final = ("ppm", "ppm_plain", "bmp_rle")
MAX_SCANS: Final = 100
"""Scans of a JPEG file; programs write 1 to 14. Each takes 0.15 s at 8192 x 8192 px."""
MAX_CHUNKS: Final = 100_000
"""Chunks of a PNG file up to the end of its first picture."""
MAX_TAG_VALUES: Final = 1_000_000
"""Values of one tag of a TIFF file; 8192 x 8192 px in tiles of 16 px need 262,144 tile offsets."""
MAX_TAGS: Final = 1000
"""In the first directory of a TIFF file."""
_BYTE_TYPES: Final = (1, 2, 6, 7)
"""TIFF types of one byte; values of the other types become lists of Python numbers."""
_WHOLE_BRANDS: Final = (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_NETPBM_SIZE: Final = re.compile(rb"P[1-7fFy](?:\s|#[^\r\n]*[\r\n])+[-\w.]+(?:\s|#[^\r\n]*[\r\n])+[-\w.]+\s")


def check_limits(file: Path, role: str = "picture") -> None:
    """Raise MediaError if opening or decoding a picture would take too much time or memory.

    role: name of the file in the message.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
        if not head.startswith(RASTER) and head[4:8] != b"ftyp":
            return
        whole = head[8:12] == b"WEBP" or (head[4:8] == b"ftyp" and head[8:12] in _WHOLE_BRANDS)
        if whole or head[4:8] != b"ftyp":
            _check_bytes(FileRef(role, file), size, MAX_READ_BYTES if whole else MAX_BYTES)
        problem = ""
        if head.startswith(b"\xff\xd8") and _has_more(opened, b"\xff\xda", MAX_SCANS):
            problem = f"has more than {MAX_SCANS} scans"
        elif head.startswith(b"\x89PNG") and _has_many_chunks(opened):
            problem = f"has more than {MAX_CHUNKS:,} parts"
        elif head.startswith((b"II", b"MM")) and _has_long_tags(opened, head):
            problem = f"has a tag of more than {MAX_TAG_VALUES:,} values"
        elif re.match(rb"P[1-7fFy]\s", head) and not _NETPBM_SIZE.match(head):
            problem = "does not state its size"
    if problem:
        raise MediaError(
            "The ", FileRef(role, file), f" is damaged or unusual: it {problem}; save it as PNG or JPEG again"
        )


def check_decoder(file: Path, image: Image, role: str = "picture") -> None:
    """Raise MediaError if an opened picture is too large for the slow decoder that it needs."""
    if any(tile[0] in SLOW_DECODERS for tile in image.tile):
        _check_bytes(FileRef(role, file), file.stat().st_size, MAX_SLOW_BYTES)


def _check_bytes(file: FileRef, size: int, limit: int) -> None:
    if size > limit:
        raise MediaError(
            "The ", file, f" has {size / 1e6:,.0f} MB, more than {limit / 1e6:,.0f} MB in its format: save it as PNG "
            "or JPEG",
        )  # fmt: skip


def _has_more(file: IO[bytes], mark: bytes, limit: int) -> bool:
    """Return whether ``mark`` occurs more than ``limit`` times in the file."""
    count, at = 0, -1
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while count <= limit and (at := data.find(mark, at + 1)) >= 0:
            count += 1
    return count > limit


def _has_many_chunks(file: IO[bytes]) -> bool:
    """Return whether a PNG file has too many chunks before the second picture of an animation."""
    file.seek(8)
    pictures = False
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        kind = head[4:]
        pictures = pictures or kind == b"IDAT"
        if len(head) < 8 or kind == b"IEND" or (pictures and kind in (b"fcTL", b"fdAT")):
            return False
        file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return True


def _has_long_tags(file: IO[bytes], head: bytes) -> bool:
    """Return whether the first directory of a TIFF file, classic or BigTIFF, has too many tags or values."""
    order = "<" if head.startswith(b"II") else ">"
    big = 43 in head[2:4]
    place_form, count_form, entry_form = ("Q", "Q", "HHQ8x") if big else ("I", "H", "HHI4x")
    try:
        (place,) = struct.unpack_from(order + place_form, head, 8 if big else 4)
        file.seek(place)
        (tags,) = struct.unpack(order + count_form, file.read(struct.calcsize(order + count_form)))
        if tags > MAX_TAGS:
            return True
        entries = file.read(tags * struct.calcsize(order + entry_form))
    except (struct.error, OSError, OverflowError, ValueError):
        return False  # truncated: Pillow raises the error
    whole = len(entries) - len(entries) % struct.calcsize(order + entry_form)
    found = struct.iter_unpack(order + entry_form, entries[:whole])
    return any(count > MAX_TAG_VALUES and kind not in _BYTE_TYPES for _, kind, count in found)
