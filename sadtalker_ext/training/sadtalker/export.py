"""Export finished runs as checkpoints in the official layout, for the engine ``sadtalker``.

An export is one packaged file ``SadTalker_V0.0.2_SIZE.safetensors`` with the key prefixes of the published file, and
one mapping file for each kind of mode. Their headers contain the configs of the networks. If all sizes are the official
ones, the mappings are also written in the format of the official code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import torch

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.models.pose_vae import PoseVAEConfig
from sadtalker_ext.system.atomic_output import write_file
from sadtalker_ext.system.path_problems import make_folder, require_folder
from sadtalker_ext.training.sadtalker.exp_net import FILE_NAME as EXP_NET_FILE
from sadtalker_ext.training.sadtalker.exp_net import load_exp_net
from sadtalker_ext.training.sadtalker.pose_vae import FILE_NAME as POSE_VAE_FILE
from sadtalker_ext.training.sadtalker.pose_vae import load_pose_vae
from sadtalker_ext.training.sadtalker.renderer_networks import load_component
from sadtalker_ext.weights.official import COEFFICIENTS_KEY, MAPPING_ENTRY, MAPPING_KIND, MAPPINGS, read_face_recon
from sadtalker_ext.weights.packaged import BFM, PACKAGED, PackagedConfig, read_metadata
from sadtalker_ext.weights.safetensors_file import load_network
from sadtalker_ext.weights.state_dict import save_safetensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from sadtalker_ext.models.generator import Generator
    from sadtalker_ext.models.keypoint_detector import KeypointDetector

EXP_NET, POSE_VAE, RENDERER, MAPPING = "exp_net", "pose_vae", "renderer", "mapping_{}"
"""Subfolders of the runs."""
RENDERER_FILE: Final = "generator.safetensors"
ORIGIN: Final = ("recipe", "commit", "data", "licence", "figures", "plan")
"""Header entries of the runs that are copied to the export, prefixed with the name of the network."""


@dataclass(frozen=True)
class Runs:
    """Networks and file headers of finished runs."""

    networks: dict[str, nn.Module]
    mappings: dict[int, MappingNet]
    headers: dict[str, dict[str, str]]

    @property
    def config(self) -> PackagedConfig:
        """Configs of the packaged file."""
        renderer = self.headers[RENDERER]
        return PackagedConfig(
            size_px=int(renderer["size_px"]),
            coefficients=renderer[COEFFICIENTS_KEY],
            exp_net=self.networks["audio2exp."].config,  # type: ignore[arg-type] # each network has its own Config
            pose_vae=self.networks["audio2pose."].config,  # type: ignore[arg-type]
            keypoint_detector=self.networks["kp_extractor."].config,  # type: ignore[arg-type]
            generator=self.networks["generator."].config,  # type: ignore[arg-type]
        )


def export(run: Path, folder: Path, checkpoints: Sequence[Path] = ()) -> list[Path]:
    """Export the networks of ``run`` to ``folder`` and return the files.

    run: folder with the finished runs exp_net, pose_vae, renderer, mapping_70 and mapping_73. checkpoints: folders to
    search for FaceRecon, which is required for coefficients of the Basel face model and not trained here.
    """
    runs = read_runs(run)
    config = runs.config
    tensors = {prefix + key: value for prefix, net in runs.networks.items() for key, value in net.state_dict().items()}
    if config.coefficients == BFM:
        tensors |= {f"face_3drecon.{key}": value for key, value in read_face_recon(checkpoints).items()}
    make_folder(folder)
    _refuse_others(folder, config)
    packaged = folder / config.file_name
    save_safetensors(tensors, packaged, {**config.header(), **_origin(runs), "styles": _styles(runs)})
    written = [packaged]
    for coefficients, network in runs.mappings.items():
        written += _write_mapping(folder, coefficients, network, runs)
    return written


def read_runs(run: Path) -> Runs:
    """Load all networks of ``run``; WeightsError if one is missing or does not fit the others."""
    files = {EXP_NET: EXP_NET_FILE, POSE_VAE: POSE_VAE_FILE, RENDERER: RENDERER_FILE}
    for count in MAPPINGS:
        files[MAPPING.format(count)] = f"{MAPPING.format(count)}.safetensors"
    require_folder(run, "use the folder of a run of train all")
    missing = [name for name, file in files.items() if not (run / name / file).is_file()]
    if missing:
        raise WeightsError(
            f"{run} has no finished {', '.join(missing)}; finish sadtalker train all, or train each network in the "
            "subfolder of its name"
        )
    headers = {name: read_metadata(run / name / file) for name, file in files.items()}
    _check_kinds(run, headers)
    networks: dict[str, nn.Module] = {
        "audio2exp.": load_exp_net(run / EXP_NET),
        "audio2pose.": load_pose_vae(run / POSE_VAE),
        "generator.": load_component(run / RENDERER, "generator"),
        "kp_extractor.": load_component(run / RENDERER, "keypoint_detector"),
    }
    mappings = {count: _load_mapping(run / MAPPING.format(count), count) for count in MAPPINGS}
    _check_keypoints(networks, mappings)
    return Runs(networks, mappings, headers)


def _check_kinds(run: Path, headers: dict[str, dict[str, str]]) -> None:
    kinds = {name: header.get(COEFFICIENTS_KEY, "?") for name, header in headers.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        raise WeightsError(f"The networks in {run} use different coefficients ({listed}); train them on one data set")


def _check_keypoints(networks: dict[str, nn.Module], mappings: dict[int, MappingNet]) -> None:
    detector = cast("KeypointDetector", networks["kp_extractor."])
    generator = cast("Generator", networks["generator."])
    counts = {"keypoint detector": detector.config.keypoints, "generator": generator.config.motion.keypoints}
    counts |= {MAPPING.format(count): network.config.keypoints for count, network in mappings.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise WeightsError(f"The networks have different numbers of keypoints ({listed}); train the mappings again")


def _load_mapping(folder: Path, coefficients: int) -> MappingNet:
    path = folder / f"{MAPPING.format(coefficients)}.safetensors"
    return load_network(path, MAPPING_KIND, MappingNet, MappingNetConfig)


def _write_mapping(folder: Path, coefficients: int, network: MappingNet, runs: Runs) -> list[Path]:
    entry, header = MAPPINGS[coefficients], runs.headers[MAPPING.format(coefficients)]
    path = folder / entry.converted
    state: dict[str, Tensor] = network.state_dict()
    save_safetensors(state, path, {key: value for key, value in header.items() if key != "sha256"})
    if not is_official(runs):
        return [path]
    pickled = folder / entry.name
    content = {MAPPING_ENTRY: state, "epoch": 0}
    write_file(pickled, lambda part: torch.save(content, part), WeightsError, (OSError, RuntimeError))
    return [path, pickled]


def is_official(runs: Runs) -> bool:
    """Return whether the official code can read the export: official sizes and Basel model coefficients."""
    config = runs.config
    pose_vae = replace(config.pose_vae, log_variance_head=PoseVAEConfig.log_variance_head)
    same = replace(config, pose_vae=pose_vae).header() == PackagedConfig(config.size_px).header()
    mappings = all(network.config == MappingNetConfig(count) for count, network in runs.mappings.items())
    return same and mappings and config.size_px in PACKAGED


def _origin(runs: Runs) -> dict[str, str]:
    return {
        f"{name}.{key}": header[key]
        for name, header in runs.headers.items()
        for key in ORIGIN
        if key in header and not name.startswith("mapping")
    }


def _styles(runs: Runs) -> str:
    """Return the names of the head motion styles as a JSON list, in the order of their indices."""
    return runs.headers[POSE_VAE].get("styles", json.dumps([]))


def _refuse_others(folder: Path, config: PackagedConfig) -> None:
    """Raise a WeightsError if ``folder`` has another packaged file; the engine could not choose between them."""
    others = [path.name for path in sorted(folder.glob("SadTalker_V*.safetensors")) if path.name != config.file_name]
    if others:
        raise WeightsError(f"{folder} already contains {', '.join(others)}; export to another folder")
