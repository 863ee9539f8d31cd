"""Data sets of talking clips, the training data of the SadTalker networks.

A data set is a folder with the shards ``train-*.tar`` and ``test-*.tar``, their index files, and a description
``card.json``. Readers load single clips or frames by number and keep no images in memory.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import MediaError
from sadtalker_ext.system.atomic_output import write_text
from sadtalker_ext.training.clips.shards import (
    IMAGE_EXTENSIONS,
    SHARD_BYTES,
    ClipHeader,
    ShardWriter,
    index_path,
    list_shards,
    read_arrays,
    read_encoded_images,
    read_header,
    read_index,
    validate_clip_name,
)
from sadtalker_ext.training.core.json_files import write_json
from sadtalker_ext.video.image_formats import open_image

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Image, UInt8Array

COEFFICIENT_COUNT: Final = 73
EXPRESSION_COUNT: Final = 64
LANDMARK_COUNT: Final = 68
MEL_BANDS: Final = 80
INFO_VERSION: Final = 1
INFO_NAME: Final = "card.json"
MAKE_IT: Final = "Create one from videos with sadtalker train prepare, or from portraits with sadtalker train practice"
JPEG_QUALITY: Final = 95
_ARRAYS: Final = ("coefficients", "lip_expression", "lids", "landmarks", "mel", "sound")
_PNG_SIGNATURE: Final = b"\x89PNG"
_LISTED_IDENTITIES: Final = 20
"""Number of identities that ``card.md`` names."""


@dataclass(frozen=True)
class Clip:
    """A few seconds of one speaker at 25 frames per second: T frames of S x S pixels.

    name: unique in the data set. identity: name of the speaker, the same for all clips of one person. source: origin of
    the clip, free text.
    frames: T encoded images (JPEG or PNG); empty if only the other parts were read.
    coefficients: (T, 73) float32: expression 64, angles 3 (rad, signs of the 3DMM), translation 3, crop 3.
    lip_expression: (T, 64) float32, the expression of the first frame in which only the lips move (SadTalker, Zhang et
    al. 2023, section 3.2).
    lids: (T,) float32, eyelid closure from 0 (open) to 1. landmarks: (T, 68, 2) float32, pixels, (0, 0) is the image
    corner.
    mel: (M, 80) float32 at 80 Hz, row 0 at the first frame (audio/mel.py). sound: (N,) int16, mono 16 kHz.
    """

    name: str
    identity: str
    frames: tuple[bytes, ...]
    coefficients: Float32Array
    lip_expression: Float32Array
    lids: Float32Array
    landmarks: Float32Array
    mel: Float32Array
    sound: NDArray[np.int16]
    source: str = ""

    def __post_init__(self) -> None:
        count = len(self.coefficients)
        expected = {
            "coefficients": (count, COEFFICIENT_COUNT),
            "lip_expression": (count, EXPRESSION_COUNT),
            "lids": (count,),
            "landmarks": (count, LANDMARK_COUNT, 2),
        }
        shapes = {name: getattr(self, name).shape for name in expected}
        bad = {name: shape for name, shape in shapes.items() if shape != expected[name]}
        if bad or len(self.frames) not in (0, count) or self.mel.shape[1:] != (MEL_BANDS,) or self.sound.ndim != 1:
            raise ValueError(
                f"the parts of clip {self.name} have different lengths: {bad}, {len(self.frames)} images, {count} rows"
            )

    def __len__(self) -> int:
        return len(self.coefficients)

    def image(self, index: int) -> Image:
        """Return frame ``index``, (S, S, 3) uint8 RGB."""
        return decode_image(self.frames[index])


@dataclass(frozen=True)
class ClipInfo:
    """Description of a data set, stored as ``card.json`` beside the shards.

    size_px: side length of the frames. coefficients: kind of coefficients, see weights/packaged.py. clips: number of
    clips by split. hours: total duration. sources, split, lips, licence: free text about the origin, the held-out
    clips, how ``lip_expression`` was made, and the permission that is needed.
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
    rate_hz: int = int(FRAME_RATE_HZ)
    version: int = INFO_VERSION

    def save(self, folder: Path) -> None:
        """Write ``card.json``, and the same content as Markdown to ``card.md``."""
        write_json(folder / INFO_NAME, asdict(self))
        rows = [f"| {name} | {_format_value(value)} |" for name, value in asdict(self).items()]
        text = "\n".join(["# Talking clips", "", "| field | value |", "|---|---|", *rows, ""])
        write_text(folder / "card.md", text)

    @staticmethod
    def load(folder: Path) -> ClipInfo:
        """Read ``card.json``. Raises MediaError if ``folder`` is not a finished data set of this version."""
        path = folder / INFO_NAME
        if not folder.is_dir():
            problem = "it is not a folder" if folder.exists() else "it does not exist"
            raise MediaError(f"{folder} is not a finished data set: {problem}. {MAKE_IT}.")
        if not path.is_file():
            raise MediaError(
                f"{folder} is not a finished data set: it has no {INFO_NAME}. {MAKE_IT}, or run the same command again "
                "to finish it."
            )
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            info = ClipInfo(**{**values, "identities": tuple(values["identities"])})
        except (OSError, ValueError, KeyError, TypeError) as e:
            error = f"it has no {e}" if isinstance(e, KeyError) else e
            raise MediaError(
                f"{folder} is not a finished data set ({path} cannot be read: {error}). {MAKE_IT}."
            ) from e
        if info.version != INFO_VERSION:
            raise MediaError(f"{path} has version {info.version}, not {INFO_VERSION}. Create the data set again.")
        return info


class ClipStore:
    """Random access to one split of a data set; keeps only the positions of the clips in memory."""

    def __init__(self, folder: Path, split: str = "train") -> None:
        self.folder, self.split, self.info = folder, split, ClipInfo.load(folder)
        self._shards = list_shards(folder, split)
        if not self._shards:
            raise MediaError(f"{folder} has no shards {split}-*.tar. Use another split or create the data set again.")
        identities = {name: number for number, name in enumerate(self.info.identities)}
        locations: list[tuple[int, int, int, int]] = []
        for number, shard in enumerate(self._shards):
            for entry in read_index(shard):
                if entry.identity not in identities:
                    raise MediaError(
                        f"{index_path(shard)} has the identity {entry.identity!r}, which is not in {INFO_NAME}. Create "
                        "the data set again."
                    )
                locations.append((number, entry.offset, entry.frames, identities[entry.identity]))
        self._locations = np.array(locations, np.int64)
        """(clips, 4): shard, offset in bytes, frames, identity."""

    @property
    def identities(self) -> tuple[str, ...]:
        """Names of all speakers of the data set."""
        return self.info.identities

    def __len__(self) -> int:
        return len(self._locations)

    def __iter__(self) -> Iterator[Clip]:
        return (self.read_clip(index) for index in range(len(self)))

    def frame_count(self, index: int) -> int:
        """Return the number of frames of a clip."""
        return int(self._locations[index, 2])

    def identity(self, index: int) -> int:
        """Return the speaker of a clip as an index into ``identities``."""
        return int(self._locations[index, 3])

    def clips_of(self, identity: int) -> NDArray[np.int64]:
        """Return the indices of all clips of one identity."""
        return np.flatnonzero(self._locations[:, 3] == identity)

    def read_clip(self, index: int) -> Clip:
        """Return a clip with all frames."""
        return self._read(index, range(self.frame_count(index)))

    def read_tracks(self, index: int) -> Clip:
        """Return a clip without images (``frames`` is empty): only motion, landmarks and sound are read."""
        return self._read(index, ())

    def read_images(self, index: int, frames: Sequence[int]) -> UInt8Array:
        """Return some frames of a clip, (len(frames), S, S, 3) uint8 RGB; no other frame is read or decoded."""
        shard, offset = self._locate(index)
        with shard.open("rb") as file:
            header, at = read_header(file, offset, shard)
            return np.stack([decode_image(data) for data in read_encoded_images(file, header, at, frames)])

    def _locate(self, index: int) -> tuple[Path, int]:
        shard, offset = self._locations[index, :2].tolist()
        return self._shards[shard], offset

    def _read(self, index: int, frames: Sequence[int]) -> Clip:
        shard, offset = self._locate(index)
        with shard.open("rb") as file:
            header, at = read_header(file, offset, shard)
            with np.load(read_arrays(file, header, at)) as arrays:
                tracks = {name: arrays[name] for name in _ARRAYS}
            images = tuple(read_encoded_images(file, header, at, frames))
        return clip_from_parts(header, images, tracks)


def clip_from_parts(header: ClipHeader, images: tuple[bytes, ...], arrays: Mapping[str, NDArray[Any]]) -> Clip:
    """Return the clip with this header; KeyError if an array is missing, ValueError if the lengths do not agree."""
    tracks = {name: arrays[name] for name in _ARRAYS}
    return Clip(header.name, header.identity, images, source=header.source, **tracks)


class ClipWriter:
    """Context manager that writes clips of one split to shards, see :class:`~.shards.ShardWriter`."""

    def __init__(self, folder: Path, split: str, number: int, limit_bytes: int = SHARD_BYTES) -> None:
        self._shards = ShardWriter(folder, split, number, limit_bytes)

    def add(self, clip: Clip) -> None:
        """Append a clip with its images."""
        if not clip.frames:
            raise ValueError(f"clip {clip.name} has no images")
        kind = IMAGE_EXTENSIONS[clip.frames[0].startswith(_PNG_SIGNATURE)]
        content = io.BytesIO()
        np.savez(content, **{name: getattr(clip, name) for name in _ARRAYS})
        arrays = content.getvalue()
        sizes = tuple(len(image) for image in clip.frames)
        header = ClipHeader(validate_clip_name(clip.name), clip.identity, clip.source, kind, len(arrays), sizes)
        self._shards.add(header, arrays, clip.frames)

    def __enter__(self) -> ClipWriter:
        self._shards.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._shards.__exit__(kind, error, at)


def encode_image(image: Image) -> bytes:
    """Encode an image (S, S, 3) uint8 RGB as JPEG of quality 95 without chroma subsampling."""
    from PIL import Image as PillowImage

    content = io.BytesIO()
    PillowImage.fromarray(image).save(content, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return content.getvalue()


def decode_image(data: bytes) -> Image:
    """Decode a JPEG or PNG to (S, S, 3) uint8 RGB."""
    with open_image(io.BytesIO(data), ("JPEG", "PNG")) as image:
        return np.asarray(image.convert("RGB"), np.uint8)


def count_clips(folder: Path, splits: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...], int]:
    """Return the number of clips by split, the sorted identities and the total number of frames of a data set."""
    clips, identities, frames = {}, set(), 0
    for split in splits:
        entries = [entry for shard in list_shards(folder, split) for entry in read_index(shard)]
        clips[split] = len(entries)
        identities |= {entry.identity for entry in entries}
        frames += sum(entry.frames for entry in entries)
    return clips, tuple(sorted(identities)), frames


def _format_value(value: Any) -> str:  # noqa: ANN401 - a field of ClipInfo
    if isinstance(value, list | tuple):
        more = " ..." if len(value) > _LISTED_IDENTITIES else ""
        return f"{len(value)}: {', '.join(value[:_LISTED_IDENTITIES])}{more}"
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return f"{value:.3f}" if isinstance(value, float) else str(value)
