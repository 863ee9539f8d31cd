"""Load third-party networks that training can use: the Wav2Lip generator and a frozen lip reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.folding import fold
from sadtalker_ext.models.lip_reader import LipReader, LipReaderConfig
from sadtalker_ext.models.wav2lip import Wav2Lip
from sadtalker_ext.weights.config_json import config_from_json
from sadtalker_ext.weights.state_dict import load_strict, read_entry, read_safetensors

if TYPE_CHECKING:
    from pathlib import Path

WAV2LIP_ENTRY: Final = "state_dict"
DATA_PARALLEL_PREFIX: Final = "module."
"""Prefix of every key of a network that was trained with ``DataParallel``."""
WORD_CLASSIFIER_PREFIX: Final = "tcn."
"""Prefix of the lip reader's part that maps features to words; it is not loaded."""
ACTIVATIONS: Final = ("relu", "prelu", "swish")


def load_wav2lip(path: Path) -> Wav2Lip:
    """Load the generator from a public checkpoint (``wav2lip.pth``, ``wav2lip_gan.pth``) or its safetensors copy."""
    tensors = read_safetensors(path) if path.suffix == ".safetensors" else read_entry(path, WAV2LIP_ENTRY)
    unprefixed = {key.removeprefix(DATA_PARALLEL_PREFIX): tensor for key, tensor in tensors.items()}
    return fold(load_strict(Wav2Lip, unprefixed, path))


def load_lip_reader(path: Path) -> LipReader:
    """Load a frozen lip reader from ``NAME.safetensors`` and the ``NAME.json`` beside it.

    The JSON file is the configuration of the published network: ``backbone_type`` must be resnet, ``relu_type`` must
    be relu, prelu or swish.
    """
    config = _read_lip_reader_config(path.with_suffix(".json"))
    skipped = (WORD_CLASSIFIER_PREFIX,)
    return fold(load_strict(lambda: LipReader(config), read_safetensors(path), path, skipped))


def _read_lip_reader_config(path: Path) -> LipReaderConfig:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        backbone, activation = values["backbone_type"], values["relu_type"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise WeightsError(
            f"{path} does not describe a lip reader ({e}); put the network's JSON configuration beside its weights"
        ) from e
    if backbone != "resnet" or activation not in ACTIVATIONS:
        raise WeightsError(
            f"{path} describes a lip reader of kind {backbone!r} with activation {activation!r}; only resnet with "
            f"{', '.join(ACTIVATIONS)} is supported"
        )
    widths = values.get("widths", LipReaderConfig.widths)
    return config_from_json(LipReaderConfig, {"widths": widths, "activation": activation}, path)
