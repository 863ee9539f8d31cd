"""Shards of clips: tar files, readable by any tar program and the package ``webdataset``, each with an index file.

The members of a clip are consecutive and share its name: NAME.json, NAME.npz, NAME.0000.jpg, NAME.0001.jpg and so on.
The first member stores the sizes of the others, so any member is found from the offset of the clip alone.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import MediaError
from sadtalker_ext.system.atomic_output import AtomicOutput, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

TRAIN_SPLIT: Final = "train"
TEST_SPLIT: Final = "test"
BLOCK_BYTES: Final = 512
"""Block size of the tar format: a member is one header block and its content, padded to whole blocks."""
SHARD_BYTES: Final = 400_000_000
"""A shard larger than this is closed and a new one is started."""
MAX_NAME_LENGTH: Final = 80
IMAGE_EXTENSIONS: Final = ("jpg", "png")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class IndexEntry:
    """One clip in a shard. frames: number of frames. offset: position of its first member in bytes."""

    name: str
    identity: str
    frames: int
    offset: int


@dataclass(frozen=True)
class ClipHeader:
    """Content of the first member of a clip, NAME.json.

    picture: file extension of the frames. arrays_bytes, picture_bytes: sizes of the following members in bytes.
    source: origin of the clip, free text.
    """

    name: str
    identity: str
    source: str
    picture: str
    arrays_bytes: int
    picture_bytes: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the header as JSON."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def decode(data: bytes) -> ClipHeader:
        """Parse what :meth:`encode` returns."""
        values: dict[str, Any] = json.loads(data)
        return ClipHeader(**{**values, "picture_bytes": tuple(values["picture_bytes"])})


class ShardWriter:
    """Context manager that writes shards ``SPLIT-NUMBER.tar``, ``SPLIT-NUMBER-01.tar`` and so on, each atomically.

    An error inside the context leaves no incomplete file. Shards of an earlier, interrupted writer with the same number
    are replaced.
    """

    def __init__(self, folder: Path, split: str, number: int, limit_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.stem, self.limit = folder, f"{split}-{number:06d}", limit_bytes
        for old in list_writer_shards(folder, self.stem):
            old.unlink()
        self._closed = 0
        self._output: AtomicOutput | None = None
        self._file: IO[bytes] | None = None
        self._entries: list[IndexEntry] = []

    def add(self, header: ClipHeader, arrays: bytes, pictures: Sequence[bytes]) -> None:
        """Append a clip; ``arrays`` is an encoded NPZ file, ``pictures`` are encoded images."""
        if self._file is not None and self._file.tell() > self.limit:
            self._finish()
        if self._file is None:
            self._output = AtomicOutput(self._path)
            self._file = self._output.path.open("wb")
        self._entries.append(IndexEntry(header.name, header.identity, len(pictures), self._file.tell()))
        members = {f"{header.name}.json": header.encode(), f"{header.name}.npz": arrays}
        members |= {f"{header.name}.{index:04d}.{header.picture}": data for index, data in enumerate(pictures)}
        for name, data in members.items():
            self._file.write(_tar_header(name, len(data)))
            self._file.write(data)
            self._file.write(bytes(-len(data) % BLOCK_BYTES))

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._finish()
        else:
            self._discard()

    @property
    def _path(self) -> Path:
        return self.folder / (f"{self.stem}.tar" if self._closed == 0 else f"{self.stem}-{self._closed:02d}.tar")

    def _discard(self) -> None:
        """Remove the unfinished shard."""
        try:
            if self._file is not None:
                self._file.close()
        finally:
            if self._output is not None:
                self._output.discard()
            self._file, self._output, self._entries = None, None, []

    def _finish(self) -> None:
        """Close the shard; its index is written first, so that every existing shard has one."""
        if self._file is None or self._output is None:
            return
        try:
            self._file.write(bytes(2 * BLOCK_BYTES))
            self._file.close()
            write_text(index_path(self._path), json.dumps({"clips": [asdict(entry) for entry in self._entries]}))
            self._output.commit()
        except BaseException:
            self._discard()
            raise
        self._file, self._output, self._entries = None, None, []
        self._closed += 1


def list_writer_shards(folder: Path, stem: str) -> list[Path]:
    """Return the shards of one writer, in order."""
    return sorted([*folder.glob(f"{stem}.tar"), *folder.glob(f"{stem}-[0-9][0-9].tar")], key=lambda path: path.stem)


def list_shards(folder: Path, split: str) -> list[Path]:
    """Return all shards of a split, in order."""
    return sorted(folder.glob(f"{split}-[0-9]*.tar"), key=lambda path: path.stem)


def index_path(shard: Path) -> Path:
    """Return the path of the index file of a shard."""
    return shard.with_suffix(".index.json")


def read_index(shard: Path) -> list[IndexEntry]:
    """Return the clips of a shard. Raises MediaError if its index is damaged or missing."""
    try:
        content = json.loads(index_path(shard).read_text())
        return [IndexEntry(**row) for row in content["clips"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MediaError(
            f"The shard {shard} has no readable index {index_path(shard).name} ({error}). Delete both and create the "
            "data set again."
        ) from error


def read_header(file: IO[bytes], offset: int, shard: Path) -> tuple[ClipHeader, int]:
    """Return the header of the clip at ``offset`` and the offset of its arrays member."""
    file.seek(offset)
    block = file.read(BLOCK_BYTES)
    try:
        size = tarfile.TarInfo.frombuf(block, "ascii", "strict").size
        return ClipHeader.decode(file.read(size)), offset + _member_bytes(size)
    except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise MediaError(
            f"The shard {shard} is damaged at byte {offset} ({error}). Create the data set again."
        ) from error


def read_arrays(file: IO[bytes], header: ClipHeader, at: int) -> io.BytesIO:
    """Return the content of NAME.npz, whose member starts at byte ``at``."""
    return io.BytesIO(_read(file, at, header.arrays_bytes))


def read_encoded_images(file: IO[bytes], header: ClipHeader, at: int, frames: Sequence[int]) -> list[bytes]:
    """Return the encoded images of ``frames`` and read nothing else; the arrays member starts at byte ``at``."""
    starts = [at + _member_bytes(header.arrays_bytes)]
    for size in header.picture_bytes:
        starts.append(starts[-1] + _member_bytes(size))
    return [_read(file, starts[frame], header.picture_bytes[frame]) for frame in frames]


def validate_clip_name(name: str) -> str:
    """Return ``name``. Raises ValueError if it cannot be used as the name of tar members."""
    if not _PLAIN.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"a clip cannot be named {name!r}: use at most {MAX_NAME_LENGTH} letters, digits, - and _")
    return name


def _tar_header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _member_bytes(size: int) -> int:
    """Return the bytes that a member of ``size`` bytes occupies with its header and padding."""
    return BLOCK_BYTES + size + -size % BLOCK_BYTES


def _read(file: IO[bytes], header_at: int, size: int) -> bytes:
    file.seek(header_at + BLOCK_BYTES)
    return file.read(size)
