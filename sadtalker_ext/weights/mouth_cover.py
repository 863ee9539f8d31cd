"""The packaged network that finds covers of the mouth, and its file format."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sadtalker_ext.models.mouth_cover import MouthCoverNet

MOUTH_COVER_FILE: Final = Path(__file__).with_name("mouth_cover.safetensors")
MOUTH_COVER_KIND: Final = "mouth_cover"
"""The entry ``kind`` in the header of the file."""


def load_mouth_cover(path: Path | None = None) -> MouthCoverNet:
    """Load the shipped network or one of ``sadtalker train mouth_cover``; float32, on the CPU, in eval mode."""
    from sadtalker_ext.models.mouth_cover import MouthCoverConfig, MouthCoverNet

    return load_network(path or MOUTH_COVER_FILE, MOUTH_COVER_KIND, MouthCoverNet, MouthCoverConfig)


def save_mouth_cover(network: MouthCoverNet, path: Path, origin: Mapping[str, str]) -> None:
    """Write ``network`` in half precision and the ``origin`` of its weights (recipe, data, commit) to ``path``."""
    save_network(path, copy.deepcopy(network).half(), MOUTH_COVER_KIND, origin)
