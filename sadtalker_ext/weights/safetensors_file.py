"""Read and write this project's own networks: one .safetensors file with config, origin and hash in its header.

Reading is strict: a file of another kind, a damaged file, and tensors that do not fit the config are refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.config_json import config_from_json, parse_json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

ConfigT = TypeVar("ConfigT")
NetworkT = TypeVar("NetworkT", bound="nn.Module")


class SafetensorsFile(NamedTuple):
    """Content of a file: its kind, the config as plain values, all header entries, and tensors by name."""

    kind: str
    config: dict[str, Any]
    header: dict[str, str]
    tensors: dict[str, Tensor]


def save_network(path: Path, network: nn.Module, kind: str, origin: Mapping[str, str]) -> None:
    """Write ``network``, whose ``config`` is a dataclass; the file appears under its name when it is complete.

    origin: header entries that say where the weights come from, such as recipe, data and commit.
    """
    from sadtalker_ext.weights.state_dict import save_safetensors

    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    config: Any = network.config
    header = {**origin, "kind": kind, "config": json.dumps(asdict(config)), "sha256": tensors_sha256(tensors)}
    save_safetensors(tensors, path, header)


def read_safetensors_file(path: Path, kind: str) -> SafetensorsFile:
    """Read and check ``path``; WeightsError if it is missing, damaged or of another kind."""
    from sadtalker_ext.weights.state_dict import UNREADABLE_TENSOR

    safetensors: Any = import_module("safetensors")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, safetensors.SafetensorError, *UNREADABLE_TENSOR) as error:
        raise WeightsError(f"{path} cannot be read ({error}); install the package again") from error
    if header.get("kind") != kind:
        found = header.get("kind", "unnamed weights")
        raise WeightsError(f"{path} contains {found!r}, not {kind!r}; choose another file")
    if header.get("sha256") != tensors_sha256(tensors):
        raise WeightsError(f"{path} is damaged: its tensors do not match its hash; install the package again")
    return SafetensorsFile(kind, parse_json_object(header.get("config", ""), path), header, tensors)


def load_network(
    path: Path, kind: str, network_type: Callable[[ConfigT], NetworkT], config_type: type[ConfigT]
) -> NetworkT:
    """Return the network in ``path``, built from the config in its header, on the CPU, frozen, in eval mode.

    WeightsError if the file cannot be read, the config is invalid, or the tensors do not fit it.
    """
    file = read_safetensors_file(path, kind)
    config = config_from_json(config_type, file.config, path)
    try:
        network = network_type(config)
        network.load_state_dict(file.tensors, strict=True)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path} does not fit this version of the package ({error}); install the package again"
        ) from error
    return network.eval().requires_grad_(requires_grad=False)


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names, shapes, dtypes and bytes of ``tensors``, in order of name."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())  # numpy lacks bfloat16 and float8
    return digest.hexdigest()
