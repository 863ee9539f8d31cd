"""What a packaged file holds: the official networks, or trained ones whose sizes its own header names.

Official files have no such header and mean the official sizes. A trained export carries one entry, ``config``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.exp_net import ExpNetConfig
from sadtalker_ext.models.generator import GeneratorConfig
from sadtalker_ext.models.keypoint_detector import KeypointDetectorConfig
from sadtalker_ext.models.pose_vae import PoseVAEConfig
from sadtalker_ext.weights import catalog
from sadtalker_ext.weights.files import find_checkpoint
from sadtalker_ext.weights.state_dict import read_header

ConfigT = TypeVar("ConfigT")

PACKAGED: Final = {256: catalog.PACKAGED_256, 512: catalog.PACKAGED_512}
"""The official file of each size."""
BFM, PUPPET = "bfm", "puppet"
"""Kinds of coefficients: of the Basel face model, or the puppet's shapes in their places."""
CONFIG_KEY: Final = "config"
_NAME: Final = "SadTalker_V0.0.2_{}.safetensors"
_PATTERN: Final = re.compile(_NAME.replace(".", r"\.").format(r"(\d+)"))


@dataclass(frozen=True)
class PackagedConfig:
    """size_px: side of the square that is rendered. coefficients: :data:`BFM` or :data:`PUPPET`.

    The others are the sizes of the networks; FaceRecon has but one, and is there for :data:`BFM` only.
    """

    size_px: int = 256
    coefficients: str = BFM
    exp_net: ExpNetConfig = field(default_factory=ExpNetConfig)
    pose_vae: PoseVAEConfig = field(default_factory=PoseVAEConfig)
    keypoint_detector: KeypointDetectorConfig = field(default_factory=KeypointDetectorConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)

    @property
    def file_name(self) -> str:
        """How a packaged file of this size is called; the official ones, too."""
        return _NAME.format(self.size_px)

    def header(self) -> dict[str, str]:
        """The entries of a safetensors header that :func:`read_packaged_config` takes back."""
        return {CONFIG_KEY: json.dumps(asdict(self))}


def metadata_of(path: Path) -> dict[str, str]:
    """The text entries in the header of a safetensors file."""
    entries = read_header(path).get("__metadata__") or {}
    return {str(key): str(value) for key, value in entries.items()}


def read_packaged_config(path: Path) -> tuple[PackagedConfig, bool]:
    """What a packaged file holds, and whether it is a trained export; without a header it is the official."""
    text = metadata_of(path).get(CONFIG_KEY)
    if text is None:
        matched = _PATTERN.fullmatch(path.name)
        size_px = int(matched.group(1)) if matched else 0
        if size_px not in PACKAGED:
            raise WeightsError(
                f"{path} says nothing about the sizes of its networks; export it again with sadtalker train export"
            )
        return PackagedConfig(size_px), False
    config = config_from(PackagedConfig, read_json(text, path), path)
    if config.coefficients not in (BFM, PUPPET):
        raise WeightsError(f"{path} has coefficients of kind {config.coefficients!r}; there are {BFM} and {PUPPET}")
    return config, True


def find_packaged(size_px: int, folders: Sequence[Path]) -> Path | None:
    """The packaged file in the first folder that has one: the official of this size, else a trained one of its own.

    Trained exports of other sizes than the official ones are called after their size; a folder may hold one.
    """
    for folder in folders:
        if found := find_checkpoint(PACKAGED[size_px], [folder]):
            return found
        matches = [(path, match) for path in _entries(folder) if (match := _PATTERN.fullmatch(path.name))]
        own = [path for path, match in matches if int(match.group(1)) not in PACKAGED]
        if len(own) > 1:
            names = ", ".join(path.name for path in own)
            raise WeightsError(f"{folder} holds several trained checkpoints ({names}); keep one in a folder")
        if own:
            return own[0]
    return None


def read_json(text: str, path: Path) -> Mapping[str, Any]:
    """The JSON object in a header."""
    try:
        values = json.loads(text)
    except ValueError as e:
        raise WeightsError(f"the header of {path} cannot be understood ({e}); export it again") from e
    if not isinstance(values, dict):
        raise WeightsError(f"the header of {path} holds {text[:40]!r} instead of sizes by name; export it again")
    return values


def config_from(make: type[ConfigT], values: Mapping[str, Any], source: object) -> ConfigT:
    """A (nested) Config from plain values as JSON gives them; names that it lacks are refused, missing ones default."""
    hints = get_type_hints(make)
    left_over = sorted(set(values) - set(hints))
    if left_over:
        raise WeightsError(f"{source} names sizes that this version does not know: {', '.join(left_over)}; update it")
    made: dict[str, Any] = {}
    for name, value in values.items():
        if is_dataclass(hints[name]):
            made[name] = config_from(hints[name], value, source)
        else:
            made[name] = tuple(value) if isinstance(value, list) else value
    return make(**made)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
