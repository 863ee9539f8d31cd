"""Talking clips on disk: what the SadTalker networks learn from.

A data set is a folder with ``card.json`` (what it is), shards ``train-*.tar`` and ``test-*.tar`` and their indexes.
Readers take what they need from the shards and hold no pictures; what is read
depends on nothing but the number asked for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.errors import MediaError
from sadtalker_ext.training.clips.shards import (
    PICTURE_KINDS,
    SHARD_BYTES,
    Head,
    ShardWriter,
    check_name,
    index_of,
    read_arrays,
    read_head,
    read_index,
    read_pictures,
    shards_of,
    write_json,
    write_whole,
)
from sadtalker_ext.video.image_formats import open_image

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Picture = NDArray[np.uint8]

COEFFICIENTS: Final = 73
EXPRESSION: Final = 64
LANDMARKS: Final = 68
CARD_VERSION: Final = 1
CARD_NAME: Final = "card.json"
JPEG_QUALITY: Final = 95
_ARRAYS: Final = ("coefficients", "lip_expression", "lids", "landmarks", "mel", "sound")
_PNG_START: Final = b"\x89PNG"


@dataclass(frozen=True)
class Clip:
    """One speaker for a few seconds at 25 frames per second; T frames of S x S pixels.

    name: unique in the data set. identity: who; clips of one identity show one person. source: where it comes from.
    frames: T encoded pictures (JPEG or PNG), or none where only the tracks were asked for.
    coefficients: (T, 73) float32, expression 64, angles 3 (rad, the 3DMM's signs), translation 3, crop 3.
    lip_expression: (T, 64) float32, the first frame's expression with only the lips moving (SadTalker, section 3.2).
    lids: (T,) float32, closing of the lids in 0..1. landmarks: (T, 68, 2) float32, pixels of the square,
    (0, 0) at its corner.
    mel: (M, 80) float32 at 80 Hz, column 0 at the first frame (audio/mel.py). sound: (N,) int16 mono 16 kHz.
    """

    name: str
    identity: str
    frames: tuple[bytes, ...]
    coefficients: Floats
    lip_expression: Floats
    lids: Floats
    landmarks: Floats
    mel: Floats
    sound: NDArray[np.int16]
    source: str = ""

    def __post_init__(self) -> None:
        count = len(self.coefficients)
        wanted = {
            "coefficients": (count, COEFFICIENTS),
            "lip_expression": (count, EXPRESSION),
            "lids": (count,),
            "landmarks": (count, LANDMARKS, 2),
        }
        bad = {name: getattr(self, name).shape for name, shape in wanted.items() if getattr(self, name).shape != shape}
        if bad or len(self.frames) not in (0, count) or self.mel.shape[1:] != (80,) or self.sound.ndim != 1:
            pictures = len(self.frames)
            raise ValueError(f"the parts of clip {self.name} disagree: {bad}, {pictures} pictures, {count} rows")

    def __len__(self) -> int:
        return len(self.coefficients)

    def picture(self, index: int) -> Picture:
        """Frame ``index``, (S, S, 3) uint8 RGB."""
        return decode_picture(self.frames[index])


@dataclass(frozen=True)
class ClipInfo:
    """What a data set holds, ``card.json`` beside the shards.

    size_px: side of the pictures. coefficients: see weights/packaged.py. clips: by split. hours: of all clips.
    sources, split, lips, licence: sentences for people: what it was made from, which clips are held out, how
    ``lip_expression`` was made, whose permission it needs.
    """

    size_px: int
    coefficients: str
    identities: tuple[str, ...]
    clips: dict[str, int]
    hours: float
    sources: str
    split: str
    lips: str
    licence: str
    rate_hz: int = 25
    version: int = CARD_VERSION

    def save(self, folder: Path) -> None:
        """Write ``card.json`` and the same for people as ``card.md``."""
        write_json(folder / CARD_NAME, asdict(self))
        rows = [f"| {name} | {_shown(value)} |" for name, value in asdict(self).items()]
        text = "\n".join(["# Talking clips", "", "| what | value |", "|---|---|", *rows, ""])
        write_whole(folder / "card.md", text)

    @staticmethod
    def load(folder: Path) -> ClipInfo:
        """Read; MediaError where there is no finished data set of this version."""
        path = folder / CARD_NAME
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            card = ClipInfo(**{**values, "identities": tuple(values["identities"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MediaError(
                f"{folder} is no finished data set ({error}): make one with sadtalker train practice or prepare, or "
                "give the same command again to finish it"
            ) from error
        if card.version != CARD_VERSION:
            raise MediaError(f"{path} is of version {card.version}, not {CARD_VERSION}: make the data set again")
        return card


class ClipStore:
    """Random access to one split of a data set; opens files when asked and keeps only where each clip lies."""

    def __init__(self, folder: Path, split: str = "train") -> None:
        self.folder, self.split, self.card = folder, split, ClipInfo.load(folder)
        self._shards = shards_of(folder, split)
        if not self._shards:
            raise MediaError(f"{folder} holds no shards {split}-*.tar: name another split or make the data set again")
        known = {name: number for number, name in enumerate(self.card.identities)}
        places: list[tuple[int, int, int, int]] = []
        for number, shard in enumerate(self._shards):
            for entry in read_index(shard):
                if entry.identity not in known:
                    raise MediaError(f"{index_of(shard)} names {entry.identity!r}, who is not in {CARD_NAME}")
                places.append((number, entry.offset, entry.frames, known[entry.identity]))
        self._places = np.array(places, np.int64)

    @property
    def identities(self) -> tuple[str, ...]:
        """All people of the data set, in the card's order."""
        return self.card.identities

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Clip]:
        return (self.clip(index) for index in range(len(self)))

    def frames(self, index: int) -> int:
        """How many frames a clip has."""
        return int(self._places[index, 2])

    def identity(self, index: int) -> int:
        """Whose clip it is, as a place in ``identities``."""
        return int(self._places[index, 3])

    def clips_of(self, identity: int) -> NDArray[np.int64]:
        """Numbers of the clips of one identity."""
        return np.flatnonzero(self._places[:, 3] == identity)

    def clip(self, index: int) -> Clip:
        """A whole clip."""
        return self._read(index, range(self.frames(index)))

    def tracks(self, index: int) -> Clip:
        """A clip without its pictures (``frames`` is empty): motion, landmarks and sound only are read."""
        return self._read(index, ())

    def pictures(self, index: int, frames: Sequence[int]) -> Picture:
        """Some frames of a clip, (len(frames), S, S, 3) uint8 RGB; no other picture is read or decoded."""
        shard, offset = self._place(index)
        with shard.open("rb") as file:
            head, at = read_head(file, offset, shard)
            return np.stack([decode_picture(data) for data in read_pictures(file, head, at, frames)])

    def picture_pair(self, index: int, source: int, target: int) -> tuple[Picture, Picture]:
        """Two frames of a clip, each (S, S, 3) uint8 RGB."""
        first, second = self.pictures(index, (source, target))
        return first, second

    def _place(self, index: int) -> tuple[Path, int]:
        shard, offset = self._places[index, :2].tolist()
        return self._shards[shard], offset

    def _read(self, index: int, frames: Sequence[int]) -> Clip:
        shard, offset = self._place(index)
        with shard.open("rb") as file:
            head, at = read_head(file, offset, shard)
            with np.load(read_arrays(file, head, at)) as arrays:
                tracks = {name: arrays[name] for name in _ARRAYS}
            pictures = tuple(read_pictures(file, head, at, frames))
        return Clip(head.name, head.identity, pictures, source=head.source, **tracks)


class ClipWriter:
    """Writes clips of one split into shards; a context manager, see :class:`~.shards.ShardWriter`."""

    def __init__(self, folder: Path, split: str, number: int, limit_bytes: int = SHARD_BYTES) -> None:
        self._shards = ShardWriter(folder, split, number, limit_bytes)

    def add(self, clip: Clip) -> None:
        """Append a clip with its pictures."""
        if not clip.frames:
            raise ValueError(f"clip {clip.name} has no pictures")
        kind = PICTURE_KINDS[clip.frames[0].startswith(_PNG_START)]
        content = io.BytesIO()
        np.savez(content, **{name: getattr(clip, name) for name in _ARRAYS})
        arrays = content.getvalue()
        sizes = tuple(len(picture) for picture in clip.frames)
        head = Head(check_name(clip.name), clip.identity, clip.source, kind, len(arrays), sizes)
        self._shards.add(head, arrays, clip.frames)

    def __enter__(self) -> ClipWriter:
        self._shards.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._shards.__exit__(kind, error, at)


def encode_picture(picture: Picture) -> bytes:
    """RGB (S, S, 3) as JPEG of quality 95 with full colour resolution."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return content.getvalue()


def decode_picture(data: bytes) -> Picture:
    """A JPEG or PNG as (S, S, 3) uint8 RGB."""
    with open_image(io.BytesIO(data), ("JPEG", "PNG")) as image:
        return np.asarray(image.convert("RGB"), np.uint8)


def count_clips(folder: Path, splits: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...], int]:
    """Clips by split, sorted identities and frames in all, of the shards in a folder."""
    clips, people, frames = {}, set(), 0
    for split in splits:
        entries = [entry for shard in shards_of(folder, split) for entry in read_index(shard)]
        clips[split] = len(entries)
        people |= {entry.identity for entry in entries}
        frames += sum(entry.frames for entry in entries)
    return clips, tuple(sorted(people)), frames


def _shown(value: Any) -> str:  # noqa: ANN401 - a value of the card
    if isinstance(value, list | tuple):
        return f"{len(value)}: {', '.join(value[:20])}{' ...' if len(value) > 20 else ''}"
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return f"{value:.3f}" if isinstance(value, float) else str(value)
