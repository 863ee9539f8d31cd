"""Reading of a data set that may be damaged: each clip that can be read, and a finding for each that cannot."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.errors import MediaError
from sadtalker_ext.training.clips.check_report import Finding
from sadtalker_ext.training.clips.dataset import ClipInfo, clip_from_parts, decode_image
from sadtalker_ext.training.clips.shards import (
    TEST_SPLIT,
    TRAIN_SPLIT,
    list_shards,
    read_arrays,
    read_encoded_images,
    read_header,
    read_index,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.arrays import UInt8Array
    from sadtalker_ext.training.clips.dataset import Clip

SPLITS: Final = (TRAIN_SPLIT, TEST_SPLIT)
UNREADABLE: Final = (
    MediaError, ValueError, KeyError, TypeError, IndexError, OSError, EOFError, OverflowError, MemoryError,
    zipfile.BadZipFile,
)  # fmt: skip
"""Errors of clips whose bytes are missing or changed."""
IMAGE_MARKS: Final = {"jpg": (b"\xff\xd8", b"\xff\xd9"), "png": (b"\x89PNG", b"IEND\xaeB`\x82")}
"""First and last bytes of a complete image by file extension."""
LARGEST: Final = 1e5
"""Largest magnitude of a value: pixels, radians and coefficients are far smaller."""
PROBLEM: Final = "files are damaged"
REMEDY: Final = (
    "delete the shard and its index and repeat the command that made the data set; if copies are damaged, compare "
    "checksums with the original and check the disk"
)


def read_clips(folder: Path, info: ClipInfo) -> Iterator[tuple[str, Clip | Finding]]:
    """Yield the split and all clips of a data set with their encoded images, or a finding for each unreadable one."""
    for split in SPLITS:
        count = 0
        for shard in list_shards(folder, split):
            try:
                entries = read_index(shard)
            except MediaError as error:
                yield split, damaged(shard.name, str(error))
                continue
            count += len(entries)
            for entry in entries:
                yield split, _read_clip(shard, entry.offset, entry.name)
        expected = info.clips.get(split, 0)
        if count < expected:
            yield split, damaged(f"{split}-*.tar", f"{count} of {expected} clips")


def damaged(place: str, reason: str) -> Finding:
    """Return the finding for a damaged clip or file."""
    return Finding("damaged", PROBLEM, REMEDY, {place: reason})


def _read_clip(shard: Path, offset: int, name: str) -> Clip | Finding:
    place = f"{name} in {shard.name}"
    try:
        with shard.open("rb") as file:
            header, at = read_header(file, offset, shard)
            with np.load(read_arrays(file, header, at), allow_pickle=False) as arrays:
                tracks = {key: arrays[key] for key in arrays.files}
            images = tuple(read_encoded_images(file, header, at, range(len(header.picture_bytes))))
        clip = clip_from_parts(header, images, tracks)
    except UNREADABLE as error:
        return damaged(place, str(error).partition("\n")[0][:120] or type(error).__name__)
    bad = [number for number, image in enumerate(images) if not _is_complete(image, header.picture)]
    if bad:
        return damaged(place, f"frame {bad[0]} is not a complete image")
    broken = [key for key, track in tracks.items() if track.dtype.kind == "f" and not np.isfinite(track).all()]
    if broken:
        return damaged(place, f"{broken[0]} has values that are not numbers")
    wild = [key for key, track in tracks.items() if track.dtype.kind == "f" and np.abs(track).max(initial=0) > LARGEST]
    if wild:
        return damaged(place, f"{wild[0]} has values up to {np.abs(tracks[wild[0]]).max():.1g}")
    return clip


def _is_complete(image: bytes, kind: str) -> bool:
    start, end = IMAGE_MARKS.get(kind, (b"", b""))
    return image.startswith(start) and image.endswith(end)


def decode_frames(clip: Clip) -> UInt8Array | Finding:
    """Return all frames (T, S, S, 3) of a clip, or a finding if one cannot be decoded or has another size."""
    try:
        return np.stack([decode_image(image) for image in clip.frames])
    except UNREADABLE as error:
        return damaged(clip.name, f"a frame cannot be decoded: {str(error).partition(chr(10))[0][:100]}")
