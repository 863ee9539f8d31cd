"""Description of the data that a run was trained on, by which a resumed or checked run recognises it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from sadtalker_ext.training.clips.dataset import INFO_NAME, ClipInfo
from sadtalker_ext.training.clips.shards import index_path, list_shards, read_index

if TYPE_CHECKING:
    from pathlib import Path

SPLITS: Final = ("train", "test")
_DIGEST_CHARACTERS: Final = 12
_READ_CLIPS: Final = 200
_CLIP_BYTES: Final = 1 << 16
"""Bytes read at the start of a clip: coefficients, lip_expression and landmarks of two seconds."""
_BLOCK_BYTES: Final = 1 << 20


def describe_clips(folder: Path) -> str:
    """Return size and digest of a data set of clips, the same for a copy in another folder.

    The card, the index files (names, speakers, lengths and places of all clips), and the coefficients of clips that are
    spread evenly are read. MediaError if the folder is not a finished data set.
    """
    info = ClipInfo.load(folder)
    shards = [shard for split in SPLITS for shard in list_shards(folder, split)]
    digest = hashlib.sha256(digest_of([folder / INFO_NAME, *map(index_path, shards)]).encode())
    places = [(shard, entry.offset) for shard in shards for entry in read_index(shard)]
    for shard, offset in places[:: max(1, len(places) // _READ_CLIPS)]:
        with shard.open("rb") as file:
            file.seek(offset)
            digest.update(file.read(_CLIP_BYTES))
    counts = " and ".join(f"{count} {name}" for name, count in info.clips.items())
    return f"{counts} clips of {len(info.identities)} speakers, {digest.hexdigest()[:_DIGEST_CHARACTERS]}"


def digest_of(files: list[Path]) -> str:
    """Return a digest of the names and contents of files."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()[:_DIGEST_CHARACTERS]
