"""Is this file the checkpoint its name says? One sentence for each thing that can be wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.catalog import CATALOG, Checkpoint
from sadtalker_ext.weights.files import find_checkpoint, require_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from sadtalker_ext.weights.packaged import PackagedConfig

HASH_BLOCK_BYTES = 1 << 20
RECON = "face_3drecon."
"""Prefix of the network that exports with the puppet's coefficients do without."""


@dataclass(frozen=True)
class Verdict:
    """path: of the file, or None. problem: why it cannot be used, in a sentence with the remedy; empty if it can.

    note: what is worth knowing although the file can be used.
    """

    checkpoint: Checkpoint
    path: Path | None
    problem: str = ""
    note: str = ""

    @property
    def usable(self) -> bool:
        """Whether an engine can open it."""
        return self.path is not None and not self.problem


def check_all(folders: Sequence[Path], deep: bool = True) -> list[Verdict]:
    """A verdict on every checkpoint of the catalogue; ``deep`` also reads all bytes and compares the hash."""
    return [check_checkpoint(entry, folders, deep) for entry in CATALOG]


def check_checkpoint(entry: Checkpoint, folders: Sequence[Path], deep: bool = True) -> Verdict:
    """The verdict on one checkpoint."""
    path = None
    try:
        path = find_checkpoint(entry, folders)
        if path is None:
            require_checkpoint(entry, folders)
            return Verdict(entry, None)
        check_content(entry, path)
    except WeightsError as e:
        return Verdict(entry, path, problem=str(e))
    except OSError as e:
        return Verdict(entry, path, problem=f"{path} cannot be read ({e.strerror or e}); check its permissions")
    return Verdict(entry, path, note=_origin(entry, path) if deep else "")


def check_content(entry: Checkpoint, path: Path) -> None:
    """Raise a WeightsError unless the file is complete and holds exactly the tensors of its networks."""
    from sadtalker_ext.weights import official
    from sadtalker_ext.weights.packaged import PACKAGED, PUPPET, read_packaged_config
    from sadtalker_ext.weights.state_dict import read_entry, read_safetensors, split_packaged

    if entry in PACKAGED.values():
        config, _ = read_packaged_config(path)
        parts = split_packaged(read_safetensors(path), path)
        if config.coefficients == PUPPET and not parts[RECON]:
            del parts[RECON]
        for prefix, tensors in parts.items():
            _check_network(prefix, tensors, path, config)
        return
    for coefficients, mapping in official.MAPPINGS.items():
        if entry == mapping:
            converted = path.name == entry.converted
            tensors = read_safetensors(path) if converted else read_entry(path, official.MAPPING_ENTRY)
            sizes = official.read_mapping_config(path, coefficients)[0] if converted else None
            official.check_mapping(coefficients, tensors, path, sizes)
            return
    for prefix, (old, name) in official.OLD_LAYOUT.items():
        if entry == old:
            _check_network(prefix, read_entry(path, name), path)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal text."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _check_network(
    prefix: str, tensors: Mapping[str, Tensor], path: Path, config: PackagedConfig | None = None
) -> None:
    import torch

    from sadtalker_ext.weights.official import NETWORKS
    from sadtalker_ext.weights.packaged import PackagedConfig
    from sadtalker_ext.weights.state_dict import NOT_FOR_INFERENCE, check_keys

    with torch.device("meta"):
        wanted = NETWORKS[prefix](config or PackagedConfig()).state_dict()
    optional = tuple(part.removeprefix(prefix) for part in NOT_FOR_INFERENCE if part.startswith(prefix))
    needed = {key: value for key, value in wanted.items() if key in tensors or not key.startswith(optional)}
    check_keys(needed, tensors, path)


def _origin(entry: Checkpoint, path: Path) -> str:
    """Whether these are the published bytes."""
    if path.name == entry.converted:
        return "converted from the published file"
    if path.stat().st_size == entry.size_bytes and file_sha256(path) == entry.sha256:
        return "the published file"
    return "complete, but not the published weights: fine if they are your own, else fetch the file again"
