"""The pose VAE that ships with the package: written by its recipe, read by the starter engine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sadtalker_ext.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from sadtalker_ext.models.pose_cvae import PoseCvae

STARTER_POSE_VAE = Path(__file__).with_name("starter_pose_vae.safetensors")
KIND = "starter pose_vae"


def save_pose_vae(network: PoseCvae, path: Path, origin: Mapping[str, str]) -> None:
    """Write the network in half precision; the header holds its Config, ``origin`` and a hash of the tensors.

    origin: where the weights come from, such as recipe, data and commit; plain text by name.
    """
    import torch
    from safetensors.torch import save_file

    state = network.state_dict()
    tensors = {name: value.detach().cpu().to(torch.float16).contiguous() for name, value in state.items()}
    header = {**origin, "kind": KIND, "config": json.dumps(asdict(network.config)), "sha256": _hash(tensors)}
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata=header)
    part.replace(path)


def load_pose_vae(path: Path = STARTER_POSE_VAE) -> PoseCvae:
    """The network in float32 on the CPU, in eval mode; refuses a file that is not whole or not of this kind."""
    import torch

    from sadtalker_ext.models.pose_cvae import Config, PoseCvae

    safetensors: Any = import_module("safetensors")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); install the package again") from error
    if header.get("kind") != KIND:
        raise WeightsError(f"{path} holds {header.get('kind', 'unnamed weights')!r}, not {KIND!r}; name another file")
    if header.get("sha256") != _hash(tensors):
        raise WeightsError(f"{path} is damaged: its tensors do not match its hash; install the package again")
    values = json.loads(header["config"])
    config = Config(**{**values, "styles": tuple(values["styles"]), "pose_unit": tuple(values["pose_unit"])})
    network = PoseCvae(config)
    network.load_state_dict({name: value.to(torch.float32) for name, value in tensors.items()}, strict=True)
    return network.eval().requires_grad_(requires_grad=False)


def _hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes in order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype}".encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
