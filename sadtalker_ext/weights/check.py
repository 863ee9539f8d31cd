"""Check that checkpoint files are complete and contain the tensors of their networks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.catalog import CATALOG, Checkpoint
from sadtalker_ext.weights.errors import MissingCheckpointError
from sadtalker_ext.weights.files import find_checkpoint, require_checkpoint
from sadtalker_ext.weights.measure_files import ALL_FILES, MeasureFile, find_measure_file

if TYPE_CHECKING:
    from torch import Tensor

    from sadtalker_ext.weights.packaged import PackagedConfig

HASH_BLOCK_BYTES = 1 << 20
FACE_RECON_PREFIX = "face_3drecon."
"""Prefix of FaceRecon, which exports for the puppet's coefficients do not contain."""


@dataclass(frozen=True)
class CheckResult:
    """Outcome of checking one checkpoint.

    path: the file, or None. problem: why it cannot be used and what to do; empty if it can be used. note: further
    information about a usable file. missing: whether there is no file with this name or a similar one.
    """

    checkpoint: Checkpoint | MeasureFile
    path: Path | None
    problem: str = ""
    note: str = ""
    missing: bool = False

    @property
    def name(self) -> str:
        """Name of the file in the catalog."""
        return self.checkpoint.name

    @property
    def usable(self) -> bool:
        """Whether the file can be opened."""
        return self.path is not None and not self.problem


def check_all(folders: Sequence[Path], deep: bool = True) -> list[CheckResult]:
    """Check every checkpoint of the catalog; ``deep`` also reads all bytes and compares the hash."""
    return [check_checkpoint(entry, folders, deep) for entry in CATALOG]


def check_checkpoint(entry: Checkpoint, folders: Sequence[Path], deep: bool = True) -> CheckResult:
    """Check one checkpoint; never raises for a bad or unreadable file."""
    path = None
    try:
        path = find_checkpoint(entry, folders)
        if path is None:
            path = require_checkpoint(entry, folders)
        check_content(entry, path)
    except MissingCheckpointError as e:
        return CheckResult(entry, None, problem=str(e), missing=True)
    except WeightsError as e:
        return CheckResult(entry, path, problem=str(e))
    except OSError as e:
        return CheckResult(entry, path, problem=f"{path} cannot be read ({e.strerror or e}); check its permissions")
    return CheckResult(entry, path, note=_describe_origin(entry, path) if deep else "")


def check_measure_files(folders: Sequence[Path]) -> list[CheckResult]:
    """Check the files of the measures that are found; a missing one is no problem of any engine."""
    from sadtalker_ext.weights.measure_networks import LOADERS

    results = []
    for entry in ALL_FILES:
        path = None
        try:
            path = find_measure_file(entry, folders)
            if path is not None:
                LOADERS[entry.measure](path)
                results.append(CheckResult(entry, path, note=f"complete: {entry.purpose}"))
        except WeightsError as e:
            results.append(CheckResult(entry, path, problem=str(e)))
        except OSError as e:
            problem = f"{path} cannot be read ({e.strerror or e}); check its permissions"
            results.append(CheckResult(entry, path, problem=problem))
    return results


def check_content(entry: Checkpoint, path: Path) -> None:
    """Raise a WeightsError unless the file is complete and contains exactly the tensors of its networks."""
    from sadtalker_ext.weights import official
    from sadtalker_ext.weights.packaged import PACKAGED, PUPPET, read_packaged_config
    from sadtalker_ext.weights.state_dict import read_entry, read_safetensors, split_packaged

    if entry in PACKAGED.values():
        config, _ = read_packaged_config(path)
        parts = split_packaged(read_safetensors(path), path)
        if config.coefficients == PUPPET and not parts[FACE_RECON_PREFIX]:
            del parts[FACE_RECON_PREFIX]
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
    """Return the SHA-256 of a file as hexadecimal text."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _check_network(
    prefix: str, tensors: Mapping[str, Tensor], path: Path, config: PackagedConfig | None = None
) -> None:
    from sadtalker_ext.weights.network_shapes import shapes_only
    from sadtalker_ext.weights.official import NETWORKS
    from sadtalker_ext.weights.packaged import PackagedConfig
    from sadtalker_ext.weights.state_dict import NOT_FOR_INFERENCE, check_keys

    with shapes_only():
        expected = NETWORKS[prefix](config or PackagedConfig()).state_dict()
    optional = tuple(part.removeprefix(prefix) for part in NOT_FOR_INFERENCE if part.startswith(prefix))
    required = {key: value for key, value in expected.items() if key in tensors or not key.startswith(optional)}
    check_keys(required, tensors, path)


def _describe_origin(entry: Checkpoint, path: Path) -> str:
    """Return a note that says whether the file is the published one."""
    if path.name == entry.converted:
        return "converted from the published file"
    if path.stat().st_size == entry.size_bytes and file_sha256(path) == entry.sha256:
        return "the published file"
    return "complete, but not the published weights; if you did not train them yourself, fetch the file again"
