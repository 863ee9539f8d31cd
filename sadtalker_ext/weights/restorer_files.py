"""Files of face restorers and upscalers that a person has: found by name, read without executing anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.catalog import CATALOG
from sadtalker_ext.weights.files import find_file, find_look_alike
from sadtalker_ext.weights.state_dict import read_pickle, read_safetensors

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".ckpt")
UNWRAPPED: Final = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Entries under which such files keep their state dict, the smoothed weights first."""


def find_restorer(name: str, folders: Sequence[Path]) -> Path | None:
    """The file of that name, with its ending or without, in any case; the folders' first one."""
    if found := find_file(name, folders):
        return found
    for path in restorer_files(folders):
        if name.lower() in (path.name.lower(), path.stem.lower()):
            return path
    if alike := find_look_alike(name, folders):
        raise WeightsError(f"{alike.parent} holds {alike.name!r}, not {name!r}; rename the file to exactly {name}")
    return None


def restorer_files(folders: Sequence[Path]) -> list[Path]:
    """Every file in the folders that might be one: a checkpoint by its ending, but not one of the catalogue's."""
    ours = {name for entry in CATALOG for name in (entry.name, entry.converted)}
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and path.name not in ours and path.is_file()
    ]


def read_restorer(path: Path) -> dict[str, Tensor]:
    """The state dict in such a file, whatever it is wrapped in."""
    from torch import Tensor

    content: dict[str, Any] = read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)
    for entry in UNWRAPPED:
        if isinstance(content.get(entry), dict):
            content = content[entry]
            break
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors or len(tensors) < len(content):
        raise WeightsError(f"{path} holds no state dict of a network; take the file of a face restorer or upscaler")
    return tensors
