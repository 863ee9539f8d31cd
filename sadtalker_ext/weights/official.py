"""Load the networks of the official checkpoints, in the packaged and in the old layout.

Exports of our own training have the packaged layout; the header of each file contains the configs of its networks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.exp_net import ExpNet
from sadtalker_ext.models.face_recon import FaceRecon
from sadtalker_ext.models.folding import fold
from sadtalker_ext.models.generator import Generator
from sadtalker_ext.models.keypoint_detector import KeypointDetector
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.models.pose_vae import PoseVAE
from sadtalker_ext.weights import catalog
from sadtalker_ext.weights.config_json import config_from_json, parse_json_object
from sadtalker_ext.weights.errors import checkpoint_error
from sadtalker_ext.weights.files import find_checkpoint, require_checkpoint, require_checkpoints
from sadtalker_ext.weights.packaged import (
    BFM,
    CONFIG_KEY,
    PACKAGED,
    PackagedConfig,
    find_packaged,
    read_metadata,
    read_packaged_config,
)
from sadtalker_ext.weights.state_dict import (
    NOT_FOR_INFERENCE,
    check_keys,
    load_strict,
    own_memory,
    read_entry,
    read_safetensors,
    save_safetensors,
    split_packaged,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    Parts = Mapping[str, tuple[Path, Callable[[], Mapping[str, Tensor]]]]

NETWORKS: Mapping[str, Callable[[PackagedConfig], nn.Module]] = {
    "audio2exp.": lambda config: ExpNet(config.exp_net),
    "audio2pose.": lambda config: PoseVAE(config.pose_vae),
    "face_3drecon.": lambda _: FaceRecon(),
    "generator.": lambda config: Generator(config.generator),
    "kp_extractor.": lambda config: KeypointDetector(config.keypoint_detector),
}
"""Constructor of the network behind each key prefix of a packaged file."""

MAPPINGS = {70: catalog.MAPPING_CROP, 73: catalog.MAPPING_FULL}
"""MappingNet checkpoint by number of coefficients."""
MAPPING_ENTRY = "mapping"
MAPPING_KIND = "sadtalker-mapping"
COEFFICIENTS_KEY = "coefficients"
"""Header entry of a mapping file: the kind of coefficients that it reads, see :data:`.packaged.BFM`."""

OLD_LAYOUT = {
    "audio2exp.": (catalog.OLD_EXPRESSION, "model"),
    "audio2pose.": (catalog.OLD_POSE, "model"),
    "face_3drecon.": (catalog.OLD_RECON, "net_recon"),
    "generator.": (catalog.OLD_RENDERER, "generator"),
    "kp_extractor.": (catalog.OLD_RENDERER, "kp_detector"),
}
"""File and entry of each network in the old layout, which exists for 256 pixels only.

The entries he_estimator, discriminator, epoch and the optimisers of the renderer's file are not used.
"""


class OfficialNetworks:
    """The networks of one packaged file, or of the files of the old layout; each is built by its method.

    All are folded for inference and own their memory: the file is read for one network at a time and not kept mapped.
    parts: file and function that reads the state dict, by key prefix. config: their configs. name: file name.
    mapping_folders: folders to search for the matching MappingNet.
    """

    def __init__(
        self,
        parts: Parts,
        config: PackagedConfig,
        name: str,
        mapping_folders: Sequence[Path],
    ) -> None:
        self._parts, self.config, self.name, self.mapping_folders = parts, config, name, mapping_folders

    def exp_net(self) -> ExpNet:
        """Return ExpNet."""
        return cast("ExpNet", self._network("audio2exp."))

    def pose_vae(self) -> PoseVAE:
        """Return PoseVAE without the encoder and discriminator, which only training needs."""
        return cast("PoseVAE", self._network("audio2pose."))

    def face_recon(self) -> FaceRecon:
        """Return FaceRecon, the 3DMM regression."""
        return cast("FaceRecon", self._network("face_3drecon."))

    def keypoint_detector(self) -> KeypointDetector:
        """Return the detector of canonical keypoints."""
        return cast("KeypointDetector", self._network("kp_extractor."))

    def generator(self, keep: Collection[str] = ()) -> Generator:
        """Return the generator, which renders frames. keep: submodules that are not folded."""
        return cast("Generator", self._network("generator.", keep))

    def _network(self, prefix: str, keep: Collection[str] = ()) -> nn.Module:
        source, read = self._parts[prefix]
        tensors = read()
        if not tensors:
            raise checkpoint_error(source, f"has no tensors {prefix}*; export it again, or fetch the published file")
        skipped = [part.removeprefix(prefix) for part in NOT_FOR_INFERENCE if part.startswith(prefix)]
        network = fold(load_strict(lambda: NETWORKS[prefix](self.config), tensors, source, skipped), keep)
        return own_memory(network, tensors)


def open_official(size_px: int, folders: Sequence[Path], coefficients: int | None = None) -> OfficialNetworks:
    """Return the networks for 256 or 512 pixels from the first folder with a packaged file.

    A trained export may render at another size, and its MappingNet is expected in the same folder. Without a packaged
    file, the files of the old layout are used for 256 pixels. WeightsError if there is neither; with ``coefficients``,
    those of the MappingNet that is opened next, it also names the file of MappingNet if that is missing.
    """
    path = find_packaged(size_px, folders)
    old = {prefix: find_checkpoint(entry, folders) for prefix, (entry, _) in OLD_LAYOUT.items()}
    if path is None and size_px == min(PACKAGED) and all(old.values()):
        config = PackagedConfig(size_px)
        old_parts: Parts = {
            prefix: (path, partial(dict, tensors)) for prefix, (path, tensors) in read_old_layout(folders).items()
        }
        return OfficialNetworks(old_parts, config, PACKAGED[size_px].name, folders)
    if path is None:
        mapping = [] if coefficients is None else [MAPPINGS[coefficients]]
        path = require_checkpoints([PACKAGED[size_px], *mapping], folders)[0]
    config, trained = read_packaged_config(path)
    prefixes = split_packaged(read_safetensors(path), path)
    parts: Parts = {prefix: (path, partial(_read_part, path, prefix)) for prefix in prefixes}
    return OfficialNetworks(parts, config, path.name, [path.parent] if trained else folders)


def _read_part(path: Path, prefix: str) -> dict[str, Tensor]:
    return split_packaged(read_safetensors(path, prefix), path)[prefix]


def read_old_layout(folders: Sequence[Path]) -> dict[str, tuple[Path, dict[str, Tensor]]]:
    """Return the file and state dict of each network of the old layout, by key prefix of the packaged layout."""
    parts = {}
    for prefix, (entry, name) in OLD_LAYOUT.items():
        path = require_checkpoint(entry, folders)
        parts[prefix] = (path, read_entry(path, name))
    return parts


def read_face_recon(folders: Sequence[Path]) -> dict[str, Tensor]:
    """Return the state dict of FaceRecon, from a packaged file or from its file of the old layout."""
    entry, name = OLD_LAYOUT["face_3drecon."]
    for size_px in PACKAGED:
        path = find_packaged(size_px, folders)
        if path is not None and (tensors := split_packaged(read_safetensors(path), path)["face_3drecon."]):
            return tensors
    if old := find_checkpoint(entry, folders):
        return read_entry(old, name)
    require_checkpoint(PACKAGED[min(PACKAGED)], folders)
    searched = ", ".join(map(str, folders))
    raise WeightsError(f"No checkpoint in {searched} contains FaceRecon; fetch {PACKAGED[min(PACKAGED)].name}")


def open_mapping(coefficients: int, folders: Sequence[Path], kind: str = BFM) -> MappingNet:
    """Return MappingNet for 70 or 73 coefficients.

    A pickle is converted to a safetensors file in the same folder, if that is writable. kind: kind of coefficients that
    the other networks use; WeightsError for a file of another kind.
    """
    path = require_checkpoint(MAPPINGS[coefficients], folders)
    if path.name == MAPPINGS[coefficients].name:
        config, found, tensors = MappingNetConfig(coefficients), BFM, convert_mapping(path)[1]
    else:
        (config, found), tensors = read_mapping_config(path, coefficients), read_safetensors(path)
    if found != kind:
        raise checkpoint_error(
            path,
            f"maps coefficients of kind {found!r}, but the other networks use {kind!r}; keep the files of one "
            "export together in a separate folder"
        )
    return fold(load_strict(lambda: MappingNet(config), tensors, path))


def read_mapping_config(path: Path, coefficients: int) -> tuple[MappingNetConfig, str]:
    """Return the config in the header of a mapping file and its kind of coefficients; by default the official ones."""
    header = read_metadata(path)
    if CONFIG_KEY not in header:
        return MappingNetConfig(coefficients), BFM
    config = config_from_json(MappingNetConfig, parse_json_object(header[CONFIG_KEY], path), path)
    if config.coefficients != coefficients:
        raise checkpoint_error(path, f"maps {config.coefficients} coefficients, not {coefficients}; export it again")
    return config, header.get(COEFFICIENTS_KEY, BFM)


def convert_mapping(path: Path) -> tuple[Path | None, dict[str, Tensor]]:
    """Convert a mapping pickle to a safetensors file in the same folder.

    Returns the new file (None if the folder is not writable) and the tensors.
    """
    coefficients = {entry.name: count for count, entry in MAPPINGS.items()}.get(path.name)
    if coefficients is None:
        names = " or ".join(entry.name for entry in MAPPINGS.values())
        raise checkpoint_error(path, f"is not a mapping checkpoint that can be converted; choose {names}")
    tensors = read_entry(path, MAPPING_ENTRY)
    check_mapping(coefficients, tensors, path)
    target = path.with_name(MAPPINGS[coefficients].converted)
    try:
        config = json.dumps(asdict(MappingNetConfig(coefficients)))
        save_safetensors(tensors, target, {"kind": MAPPING_KIND, "config": config})
    except WeightsError:
        return None, tensors
    return target, tensors


def check_mapping(
    coefficients: int, tensors: Mapping[str, Tensor], path: Path, config: MappingNetConfig | None = None
) -> None:
    """Raise a WeightsError unless ``tensors`` are a MappingNet of ``config`` (default: the official one)."""
    from sadtalker_ext.weights.network_shapes import shapes_only

    with shapes_only():
        check_keys(MappingNet(config or MappingNetConfig(coefficients)).state_dict(), tensors, path)
