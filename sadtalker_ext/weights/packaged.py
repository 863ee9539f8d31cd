"""Configs of the networks in a packaged checkpoint file.

Official files have no config in their header and contain the official networks. Exports of our own training have the
header entry ``config``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.exp_net import ExpNetConfig
from sadtalker_ext.models.generator import GeneratorConfig
from sadtalker_ext.models.keypoint_detector import KeypointDetectorConfig
from sadtalker_ext.models.pose_vae import PoseVAEConfig
from sadtalker_ext.weights import catalog
from sadtalker_ext.weights.config_json import config_from_json, parse_json_object
from sadtalker_ext.weights.errors import checkpoint_error
from sadtalker_ext.weights.files import find_checkpoint
from sadtalker_ext.weights.state_dict import read_header

PACKAGED: Final = {256: catalog.PACKAGED_256, 512: catalog.PACKAGED_512}
"""Official file by side of the rendered square, pixels."""
BFM, PUPPET = "bfm", "puppet"
"""Kinds of coefficients: those of the Basel face model, or the puppet's shapes in the same positions."""
CONFIG_KEY: Final = "config"
_NAME: Final = "SadTalker_V0.0.2_{}.safetensors"
_PATTERN: Final = re.compile(_NAME.replace(".", r"\.").format(r"(\d+)"))


@dataclass(frozen=True)
class PackagedConfig:
    """Configs of the networks in a packaged file.

    size_px: side of the rendered square. coefficients: :data:`BFM` or :data:`PUPPET`. FaceRecon has only one size;
    the file contains it for :data:`BFM` only.
    """

    size_px: int = 256
    coefficients: str = BFM
    exp_net: ExpNetConfig = field(default_factory=ExpNetConfig)
    pose_vae: PoseVAEConfig = field(default_factory=PoseVAEConfig)
    keypoint_detector: KeypointDetectorConfig = field(default_factory=KeypointDetectorConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)

    @property
    def file_name(self) -> str:
        """Name of a packaged file of this size; official files have the same pattern."""
        return _NAME.format(self.size_px)

    def header(self) -> dict[str, str]:
        """Return the header entries that :func:`read_packaged_config` reads."""
        return {CONFIG_KEY: json.dumps(asdict(self))}


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata entries in the header of a safetensors file."""
    entries = read_header(path).get("__metadata__") or {}
    return {str(key): str(value) for key, value in entries.items()}


def read_packaged_config(path: Path) -> tuple[PackagedConfig, bool]:
    """Return the configs in a packaged file and whether it is a trained export (official files have no config)."""
    text = read_metadata(path).get(CONFIG_KEY)
    if text is None:
        matched = _PATTERN.fullmatch(path.name)
        size_px = int(matched.group(1)) if matched else 0
        if size_px not in PACKAGED:
            raise checkpoint_error(
                path,
                "has no config of its networks in its header; export it again with sadtalker train export"
            )
        return PackagedConfig(size_px), False
    config = config_from_json(PackagedConfig, parse_json_object(text, path), path)
    if config.coefficients not in (BFM, PUPPET):
        raise checkpoint_error(
            path,
            f"has coefficients of kind {config.coefficients!r}, but only {BFM} and {PUPPET} are supported; "
            "export the file again"
        )
    return config, True


def find_packaged(size_px: int, folders: Sequence[Path]) -> Path | None:
    """Return the packaged file in the first folder that has one, or None.

    Within a folder, the file of ``size_px`` is preferred to a trained export of a size that no official file has;
    WeightsError if a folder has several of the latter.
    """
    for folder in folders:
        if found := find_checkpoint(PACKAGED[size_px], [folder]):
            return found
        matches = [(path, match) for path in _list_folder(folder) if (match := _PATTERN.fullmatch(path.name))]
        own = [path for path, match in matches if int(match.group(1)) not in PACKAGED]
        if len(own) > 1:
            names = ", ".join(path.name for path in own)
            raise WeightsError(f"{folder} has several trained checkpoints ({names}); keep one per folder")
        if own:
            return own[0]
    return None


def _list_folder(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
