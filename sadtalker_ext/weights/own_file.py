"""Files of our own networks: one .safetensors with the network's Config, where it comes from, and a hash in its header.

Strict: a file of another kind, a damaged one, or one whose tensors do not fit its Config is refused in one sentence.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sadtalker_ext.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

NetworkT = TypeVar("NetworkT", bound="nn.Module")


class OwnFile(NamedTuple):
    """What a file holds: kind, the Config as plain values, header as written, tensors by name."""

    kind: str
    config: dict[str, Any]
    header: dict[str, str]
    tensors: dict[str, Tensor]


def save_network(path: Path, network: nn.Module, kind: str, origin: Mapping[str, str]) -> None:
    """Write ``network`` (which has a dataclass ``config``) as float32; whole or not at all.

    origin: plain text by name that says where the weights come from, such as recipe, data, commit.
    """
    from sadtalker_ext.weights.state_dict import save_safetensors

    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    config: Any = network.config
    header = {**origin, "kind": kind, "config": json.dumps(asdict(config)), "sha256": tensors_sha256(tensors)}
    save_safetensors(tensors, path, header)


def read_own_file(path: Path, kind: str) -> OwnFile:
    """Read and check ``path``; WeightsError where it is missing, damaged or of another kind."""
    safetensors: Any = import_module("safetensors")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); install the package again") from error
    if header.get("kind") != kind:
        raise WeightsError(f"{path} holds {header.get('kind', 'unnamed weights')!r}, not {kind!r}; name another file")
    if header.get("sha256") != tensors_sha256(tensors):
        raise WeightsError(f"{path} is damaged: its tensors do not match its hash; install the package again")
    return OwnFile(kind, json.loads(header["config"]), header, tensors)


def load_network(path: Path, kind: str, build: Callable[[dict[str, Any]], NetworkT]) -> NetworkT:
    """The network on the CPU in eval mode, built from the file's own Config; every tensor must fit."""
    file = read_own_file(path, kind)
    try:
        network = build(file.config)
        network.load_state_dict(file.tensors, strict=True)
    except (TypeError, RuntimeError) as error:
        raise WeightsError(
            f"{path} does not fit this version of the package ({error}); install the package again"
        ) from error
    return network.eval().requires_grad_(requires_grad=False)


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes, types and bytes in order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
