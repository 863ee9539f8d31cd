"""The official checkpoints as networks: which file holds what, in the packaged and in the old layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.exp_net import ExpNet
from sadtalker_ext.models.face_recon import FaceRecon
from sadtalker_ext.models.folding import fold
from sadtalker_ext.models.generator import Generator
from sadtalker_ext.models.keypoint_detector import KeypointDetector
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.models.pose_vae import PoseVAE
from sadtalker_ext.weights import catalog
from sadtalker_ext.weights.files import find_checkpoint, require_checkpoint
from sadtalker_ext.weights.state_dict import (
    NOT_FOR_INFERENCE,
    Network,
    check_keys,
    load_strict,
    read_entry,
    read_safetensors,
    save_safetensors,
    split_packaged,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

NETWORKS = {
    "audio2exp.": ExpNet,
    "audio2pose.": PoseVAE,
    "face_3drecon.": FaceRecon,
    "generator.": Generator,
    "kp_extractor.": KeypointDetector,
}
"""Network of each prefix of the packaged file."""

PACKAGED = {256: catalog.PACKAGED_256, 512: catalog.PACKAGED_512}
MAPPINGS = {70: catalog.MAPPING_CROP, 73: catalog.MAPPING_FULL}
"""MappingNet checkpoint by number of coefficients."""
MAPPING_ENTRY = "mapping"
MAPPING_KIND = "sadtalker-mapping"

OLD_LAYOUT = {
    "audio2exp.": (catalog.OLD_EXPRESSION, "model"),
    "audio2pose.": (catalog.OLD_POSE, "model"),
    "face_3drecon.": (catalog.OLD_RECON, "net_recon"),
    "generator.": (catalog.OLD_RENDERER, "generator"),
    "kp_extractor.": (catalog.OLD_RENDERER, "kp_detector"),
}
"""File and entry of each network in the old layout, which exists for 256 pixels only.

Of the renderer's file the entries he_estimator, discriminator, the optimizers and epoch are not used.
"""


class OfficialNetworks:
    """The networks of one packaged file, or of the old files; each is made when it is asked for."""

    def __init__(self, parts: Mapping[str, tuple[Path, Mapping[str, Tensor]]]) -> None:
        self._parts = parts

    def exp_net(self) -> ExpNet:
        """Lean, for inference; so are the others."""
        return self._network("audio2exp.", ExpNet)

    def pose_vae(self) -> PoseVAE:
        """Without the encoder and discriminator that training needs."""
        return self._network("audio2pose.", PoseVAE)

    def face_recon(self) -> FaceRecon:
        """3DMM regression."""
        return self._network("face_3drecon.", FaceRecon)

    def keypoint_detector(self) -> KeypointDetector:
        """Canonical keypoints."""
        return self._network("kp_extractor.", KeypointDetector)

    def generator(self) -> Generator:
        """The renderer."""
        return self._network("generator.", Generator)

    def _network(self, prefix: str, make: type[Network]) -> Network:
        source, tensors = self._parts[prefix]
        skipped = [part.removeprefix(prefix) for part in NOT_FOR_INFERENCE if part.startswith(prefix)]
        return fold(load_strict(make, tensors, source, skipped))


def open_official(size_px: int, folders: Sequence[Path]) -> OfficialNetworks:
    """The networks for 256 or 512 pixels; the packaged file is preferred, the old files serve 256."""
    packaged = PACKAGED[size_px]
    old = {prefix: find_checkpoint(entry, folders) for prefix, (entry, _) in OLD_LAYOUT.items()}
    if find_checkpoint(packaged, folders) is None and size_px == min(PACKAGED) and all(old.values()):
        return OfficialNetworks(read_old(folders))
    path = require_checkpoint(packaged, folders)
    parts = split_packaged(read_safetensors(path), path)
    return OfficialNetworks({prefix: (path, tensors) for prefix, tensors in parts.items()})


def read_old(folders: Sequence[Path]) -> dict[str, tuple[Path, dict[str, Tensor]]]:
    """State dicts of the five old files by prefix of the packaged layout."""
    parts = {}
    for prefix, (entry, name) in OLD_LAYOUT.items():
        path = require_checkpoint(entry, folders)
        parts[prefix] = (path, read_entry(path, name))
    return parts


def open_mapping(coefficients: int, folders: Sequence[Path]) -> MappingNet:
    """MappingNet for 70 or 73 coefficients; a pickle is converted once to a safe file beside it, where it can be."""
    path = require_checkpoint(MAPPINGS[coefficients], folders)
    if path.name == MAPPINGS[coefficients].name:
        tensors: Mapping[str, Tensor] = convert_mapping(path)[1]
    else:
        tensors = read_safetensors(path)
    return fold(load_strict(lambda: MappingNet(MappingNetConfig(coefficients)), tensors, path))


def convert_mapping(path: Path) -> tuple[Path | None, dict[str, Tensor]]:
    """Write the network of a mapping pickle as safetensors beside it.

    Returns the new file (None where the folder cannot be written) and the tensors.
    """
    coefficients = {entry.name: count for count, entry in MAPPINGS.items()}.get(path.name)
    if coefficients is None:
        names = " or ".join(entry.name for entry in MAPPINGS.values())
        raise WeightsError(f"{path} is no mapping checkpoint that can be converted; give {names}")
    tensors = read_entry(path, MAPPING_ENTRY)
    check_mapping(coefficients, tensors, path)
    target = path.with_name(MAPPINGS[coefficients].converted)
    try:
        config = json.dumps(asdict(MappingNetConfig(coefficients)))
        save_safetensors(tensors, target, {"kind": MAPPING_KIND, "config": config})
    except WeightsError:
        return None, tensors
    return target, tensors


def check_mapping(coefficients: int, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not exactly a MappingNet for 70 or 73 coefficients."""
    import torch

    with torch.device("meta"):
        check_keys(MappingNet(MappingNetConfig(coefficients)).state_dict(), tensors, path)
