"""Description of the data that a run was trained on, by which a resumed or checked run recognises it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from sadtalker_ext.training.clips.dataset import INFO_NAME, ClipInfo
from sadtalker_ext.training.clips.shards import index_path, list_shards

if TYPE_CHECKING:
    from pathlib import Path

SPLITS: Final = ("train", "test")
_DIGEST_CHARACTERS: Final = 12
_BLOCK_BYTES: Final = 1 << 20


def describe_clips(folder: Path) -> str:
    """Return size and digest of a data set of clips, the same for a copy in another folder.

    Only the card and the index files are read: the names, speakers, lengths and places of all clips. MediaError if the
    folder is not a finished data set.
    """
    info = ClipInfo.load(folder)
    files = [folder / INFO_NAME, *(index_path(shard) for split in SPLITS for shard in list_shards(folder, split))]
    counts = " and ".join(f"{count} {name}" for name, count in info.clips.items())
    return f"{counts} clips of {len(info.identities)} speakers, {digest_of(files)}"


def digest_of(files: list[Path]) -> str:
    """Return a digest of the names and contents of files."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()[:_DIGEST_CHARACTERS]
