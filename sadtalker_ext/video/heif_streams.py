"""Elementary streams of coded HEIF items: HEVC and AVC as byte streams, AV1 in IVF, JPEG files in a row.

ffmpeg before version 7 reads a single tile of a grid, and newer versions differ in what they do with it; every version
decodes these streams, one frame for each tile.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from sadtalker_ext.video.heif_boxes import Fields, HeifError, HeifFile, Item

START_CODE: Final = b"\0\0\0\1"
DEMUXERS: Final = {"hvc1": "hevc", "hev1": "hevc", "av01": "ivf", "avc1": "h264", "jpeg": "mjpeg"}
"""ffmpeg's demuxer of the stream by the type of the item."""
_SEQUENCE_HEADER: Final = 1
"""Type of the OBU that an AV1 stream starts with."""


def write_stream(source: Path, structure: HeifFile, items: list[Item], target: Path) -> None:
    """Write the coded data of ``items``, which have one type, to ``target``; HeifError if the file is damaged."""
    size = source.stat().st_size
    if sum(length for item in items for _, length in item.extents) > size:
        raise HeifError("its pictures are larger than the file")
    with source.open("rb") as file, target.open("wb") as stream:
        frames = (b"".join(_pieces(file, size, structure, item)) for item in items)
        if items[0].kind == "av01":
            stream.write(struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"AV01", 0, 0, 25, 1, len(items), 0))
            for number, (frame, item) in enumerate(zip(frames, items, strict=True)):
                whole = _with_sequence_header(frame, item)
                stream.write(struct.pack("<IQ", len(whole), number) + whole)
        elif items[0].kind == "jpeg":
            stream.writelines((item.property("jpgC") or b"") + frame for frame, item in zip(frames, items, strict=True))
        else:
            for frame, item in zip(frames, items, strict=True):
                stream.writelines(_units(frame, *_parameter_sets(item)))


def _pieces(file: IO[bytes], size: int, structure: HeifFile, item: Item) -> Iterator[bytes]:
    for offset, length in item.extents:
        if item.inline:
            piece = structure.inline[offset : offset + length if length else None]
        else:
            file.seek(min(offset, size))
            piece = file.read(length if length else -1)
        if len(piece) != length and length:
            raise HeifError("its end is missing")
        yield piece


def read_item(source: Path, structure: HeifFile, item: Item) -> bytes:
    """Return the data of an item that describes a derived image."""
    with source.open("rb") as file:
        return b"".join(_pieces(file, source.stat().st_size, structure, item))


def _parameter_sets(item: Item) -> tuple[int, list[bytes]]:
    """Return the size of the lengths of units, and the parameter sets, of HEVC or AVC data (ISO/IEC 14496-15)."""
    name, kind = ("AVC", "avcC") if item.kind == "avc1" else ("HEVC", "hvcC")
    configuration = item.property(kind)
    if configuration is None:
        raise HeifError(f"the configuration of its {name} data is missing")
    fields = Fields(configuration)
    if kind == "avcC":  # 5.3.3.1
        fields.take(4)
        length_size = (fields.number(1) & 3) + 1
        sets = [fields.take(fields.number(2)) for _ in range(fields.number(1) & 31)]
        return length_size, [*sets, *(fields.take(fields.number(2)) for _ in range(fields.number(1)))]
    fields.take(21)  # 8.3.3.1
    length_size, sets = (fields.number(1) & 3) + 1, []
    for _ in range(fields.number(1)):
        fields.number(1)
        sets += [fields.take(fields.number(2)) for _ in range(fields.number(2))]
    return length_size, sets


def _units(frame: bytes, length_size: int, sets: list[bytes]) -> Iterator[bytes]:
    """Yield parameter sets and slices with start codes."""
    yield from (START_CODE + one for one in sets)
    at = 0
    while at < len(frame):
        length = int.from_bytes(frame[at : at + length_size], "big")
        at += length_size
        if at + length > len(frame):
            raise HeifError("its picture data is cut off")
        yield START_CODE + frame[at : at + length]
        at += length


def _with_sequence_header(frame: bytes, item: Item) -> bytes:
    """Return AV1 data that starts with a sequence header, which a file may store in the configuration only."""
    configuration = item.property("av1C") or b""
    if frame and frame[0] >> 3 & 15 == _SEQUENCE_HEADER:
        return frame
    return configuration[4:] + frame
