"""Shards of clips: plain tar files that any tar program and the package ``webdataset`` read, with an index beside them.

A clip's members follow one another and share its name: NAME.json, NAME.npz, NAME.0000.jpg, NAME.0001.jpg and so on. The
first tells the sizes of the others, so from the clip's place alone any member is found without reading the rest.
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
    from collections.abc import Mapping, Sequence
    from types import TracebackType

BLOCK: Final = 512
"""A tar's unit: each member is one block of header and its content, filled up to whole blocks."""
SHARD_BYTES: Final = 400_000_000
"""A shard that has grown beyond this is closed and the next one begun."""
LONGEST_NAME: Final = 80
PICTURE_KINDS: Final = ("jpg", "png")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Entry:
    """One clip in a shard. frames: how many; offset: of its first member, in bytes."""

    name: str
    identity: str
    frames: int
    offset: int


@dataclass(frozen=True)
class Head:
    """The first member of a clip, NAME.json.

    picture: ending of the pictures. arrays_bytes, picture_bytes: sizes of the members that follow.
    source: where it comes from, for people.
    """

    name: str
    identity: str
    source: str
    picture: str
    arrays_bytes: int
    picture_bytes: tuple[int, ...]

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def decode(data: bytes) -> Head:
        """From JSON."""
        values: dict[str, Any] = json.loads(data)
        return Head(**{**values, "picture_bytes": tuple(values["picture_bytes"])})


class ShardWriter:
    """Writes shards ``SPLIT-NUMBER.tar`` (then ``SPLIT-NUMBER-01.tar`` and so on), each whole or absent.

    As a context manager; an error inside leaves no half-written file. What an earlier, broken-off writer of the same
    number left is replaced.
    """

    def __init__(self, folder: Path, split: str, number: int, limit_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.stem, self.limit = folder, f"{split}-{number:06d}", limit_bytes
        for old in shard_files(folder, self.stem):
            old.unlink()
        self._closed = 0
        self._output: AtomicOutput | None = None
        self._file: IO[bytes] | None = None
        self._entries: list[Entry] = []

    def add(self, head: Head, arrays: bytes, pictures: Sequence[bytes]) -> None:
        """Append a clip."""
        if self._file is not None and self._file.tell() > self.limit:
            self._finish()
        if self._file is None:
            self._output = AtomicOutput(self._target)
            self._file = self._output.path.open("wb")
        self._entries.append(Entry(head.name, head.identity, len(pictures), self._file.tell()))
        members = {f"{head.name}.json": head.encode(), f"{head.name}.npz": arrays}
        members |= {f"{head.name}.{index:04d}.{head.picture}": data for index, data in enumerate(pictures)}
        for name, data in members.items():
            self._file.write(_header(name, len(data)))
            self._file.write(data)
            self._file.write(bytes(-len(data) % BLOCK))

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._finish()
        else:
            self._discard()

    @property
    def _target(self) -> Path:
        return self.folder / (f"{self.stem}.tar" if self._closed == 0 else f"{self.stem}-{self._closed:02d}.tar")

    def _discard(self) -> None:
        """Remove the shard in work."""
        try:
            if self._file is not None:
                self._file.close()
        finally:
            if self._output is not None:
                self._output.discard()
            self._file, self._output, self._entries = None, None, []

    def _finish(self) -> None:
        """Close the shard; its index comes first, so a tar that is there has one."""
        if self._file is None or self._output is None:
            return
        try:
            self._file.write(bytes(2 * BLOCK))
            self._file.close()
            write_whole(index_of(self._target), json.dumps({"clips": [asdict(entry) for entry in self._entries]}))
            self._output.commit()
        except BaseException:
            self._discard()
            raise
        self._file, self._output, self._entries = None, None, []
        self._closed += 1


def shard_files(folder: Path, stem: str) -> list[Path]:
    """The shards of one writer."""
    return sorted([*folder.glob(f"{stem}.tar"), *folder.glob(f"{stem}-[0-9][0-9].tar")], key=lambda path: path.stem)


def shards_of(folder: Path, split: str) -> list[Path]:
    """All shards of a split, in order."""
    return sorted(folder.glob(f"{split}-[0-9]*.tar"), key=lambda path: path.stem)


def index_of(shard: Path) -> Path:
    """Where a shard's index lies."""
    return shard.with_suffix(".index.json")


def read_index(shard: Path) -> list[Entry]:
    """The clips of a shard; MediaError where its index is damaged or missing."""
    try:
        content = json.loads(index_of(shard).read_text())
        return [Entry(**row) for row in content["clips"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MediaError(
            f"The shard {shard} has no readable index {index_of(shard).name} ({error}): remove both and make them again"
        ) from error


def read_head(file: IO[bytes], offset: int, shard: Path) -> tuple[Head, int]:
    """The head of the clip at ``offset``, and where its arrays begin (their header)."""
    file.seek(offset)
    block = file.read(BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(block, "ascii", "strict").size
        return Head.decode(file.read(size)), offset + _span(size)
    except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise MediaError(f"The shard {shard} is damaged at byte {offset} ({error}): make it again") from error


def read_arrays(file: IO[bytes], head: Head, at: int) -> io.BytesIO:
    """The bytes of NAME.npz, which begins at ``at``."""
    return io.BytesIO(_read(file, at, head.arrays_bytes))


def read_pictures(file: IO[bytes], head: Head, at: int, frames: Sequence[int]) -> list[bytes]:
    """The encoded pictures of some frames of the clip whose arrays begin at ``at``; only these are read."""
    starts = [at + _span(head.arrays_bytes)]
    for size in head.picture_bytes:
        starts.append(starts[-1] + _span(size))
    return [_read(file, starts[frame], head.picture_bytes[frame]) for frame in frames]


def check_name(name: str) -> str:
    """``name`` if members can be called so; a ValueError otherwise."""
    if not _PLAIN.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ValueError(f"a clip cannot be called {name!r}: at most {LONGEST_NAME} letters, digits, - and _")
    return name


def write_whole(path: Path, text: str) -> None:
    """Write a text file that is whole or absent."""
    write_text(path, text)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file for people, whole or absent."""
    write_whole(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _span(size: int) -> int:
    """Bytes that a member of ``size`` takes with its header."""
    return BLOCK + size + -size % BLOCK


def _read(file: IO[bytes], header_at: int, size: int) -> bytes:
    file.seek(header_at + BLOCK)
    return file.read(size)
