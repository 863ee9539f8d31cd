"""Networks that a user trained for the starter engine: files in checkpoint folders that replace the shipped ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sadtalker_ext.errors import FileRef, WeightsError
from sadtalker_ext.weights.errors import checkpoint_error, place_to_put
from sadtalker_ext.weights.files import find_file
from sadtalker_ext.weights.mouth_cover import MOUTH_COVER_KIND
from sadtalker_ext.weights.starter import (
    LIP_MOTION_KIND,
    POSE_CVAE_KIND,
    SPEECH_TO_EXPRESSION_KIND,
    VOICE_DETECTOR_KIND,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class TrainedWeights(NamedTuple):
    """The file of each network; None: the one of the package."""

    speech_to_expression: Path | None = None
    lip_motion: Path | None = None
    voice_detector: Path | None = None
    pose_cvae: Path | None = None
    mouth_cover: Path | None = None


NETWORKS: Final[Mapping[str, str]] = {
    SPEECH_TO_EXPRESSION_KIND: "speech_to_expression",
    LIP_MOTION_KIND: "lip_motion",
    VOICE_DETECTOR_KIND: "voice_detector",
    POSE_CVAE_KIND: "pose_cvae",
    MOUTH_COVER_KIND: "mouth_cover",
}
"""Name of the network for each entry ``kind`` in the header of a file; the names are those of the recipes."""
_CHOICES: Final = ", ".join(TrainedWeights._fields)


def find_trained_weights(names: str, folders: Sequence[Path]) -> TrainedWeights:
    """Return the files of the setting ``weights``; the header of each says which network it contains.

    names: names of files, separated by commas. WeightsError if a file is missing, is not one of these networks, or is
    the second one of its network.
    """
    found: dict[str, Path] = {}
    for name in filter(None, names.split(",")):
        path = _find(name, folders)
        network = _network_of(path)
        if network in found:
            raise WeightsError(
                "The ", FileRef("checkpoint", found[network]), " and the ", FileRef("checkpoint", path),
                f" are both networks {network}; choose one of them",
            )  # fmt: skip
        found[network] = path
    return TrainedWeights(**found)


def _find(name: str, folders: Sequence[Path]) -> Path:
    if path := find_file(name, folders):
        return path
    for folder in folders:
        if (folder / name).is_dir():
            raise checkpoint_error(folder / name, "is a folder; choose the .safetensors file in it")
    searched = [part for folder in folders for part in (", ", FileRef("folder", folder))][1:]
    raise WeightsError(
        f"The checkpoint {name} was not found in: ", *searched, f"; put the file into {place_to_put(folders)}"
    )


def _network_of(path: Path) -> str:
    """Return the name of the network in a file."""
    from sadtalker_ext.weights.packaged import read_metadata

    kind = read_metadata(path).get("kind", "")
    if kind not in NETWORKS:
        found = f"{kind!r}" if kind else "other weights"
        raise checkpoint_error(path, f"contains {found}, but the starter engine has the networks {_CHOICES}")
    return NETWORKS[kind]
