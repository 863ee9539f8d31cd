"""The starter engine's pose VAE, which ships with the package."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sadtalker_ext.models.pose_cvae import PoseCvae

STARTER_POSE_VAE: Final = Path(__file__).with_name("starter_pose_cvae.safetensors")
POSE_VAE_KIND: Final = "starter pose_vae"


def load_pose_cvae(path: Path | None = None) -> PoseCvae:
    """The shipped network, or one that ``sadtalker train pose_vae`` wrote; float32 on the CPU, in eval mode."""
    return load_network(path or STARTER_POSE_VAE, POSE_VAE_KIND, _build)


def save_pose_cvae(network: PoseCvae, path: Path, origin: Mapping[str, str]) -> None:
    """Write ``network`` in half precision with where it comes from (recipe, data, commit), see weights/own_file.py."""
    save_network(path, copy.deepcopy(network).half(), POSE_VAE_KIND, origin)


def _build(values: dict[str, Any]) -> PoseCvae:
    from sadtalker_ext.models.pose_cvae import Config, PoseCvae

    return PoseCvae(Config(**{**values, "styles": tuple(values["styles"]), "pose_unit": tuple(values["pose_unit"])}))
