"""Find and read checkpoints of face restorers and upscalers, without executing code from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.errors import checkpoint_error
from sadtalker_ext.weights.files import find_file, find_similar_name
from sadtalker_ext.weights.restorer_listing import restorer_files
from sadtalker_ext.weights.state_dict import read_pickle, read_safetensors

if TYPE_CHECKING:
    from torch import Tensor

UNWRAPPED: Final = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Entries under which such checkpoints store their state dict; averaged (EMA) weights first."""


def find_restorer(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the first file in ``folders`` that matches ``name``, or None.

    Case is ignored and the extension is optional. WeightsError if only a similar name exists.
    """
    if found := find_file(name, folders):
        return found
    for path in restorer_files(folders):
        if name.lower() in (path.name.lower(), path.stem.lower()):
            return path
    if similar := find_similar_name(name, folders):
        raise WeightsError(f"There is a file {similar.name!r}, but not {name!r}; rename it to exactly {name}")
    return None


def read_restorer(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a restorer or upscaler, unwrapped from the entries in :data:`UNWRAPPED`."""
    from torch import Tensor

    content: dict[str, Any] = read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)
    for entry in UNWRAPPED:
        if isinstance(content.get(entry), dict):
            content = content[entry]
            break
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors or len(tensors) < len(content):
        raise checkpoint_error(path, "does not contain a state dict; choose the file of a face restorer or upscaler")
    return tensors
