"""Networks of others that training may use where the user has them: Wav2Lip's generator and a frozen lip reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.folding import fold
from sadtalker_ext.models.lip_reader import LipReader, LipReaderConfig
from sadtalker_ext.models.wav2lip import Wav2Lip
from sadtalker_ext.weights.state_dict import load_strict, read_entry, read_safetensors

if TYPE_CHECKING:
    from pathlib import Path

WAV2LIP_ENTRY: Final = "state_dict"
PARALLEL_PREFIX: Final = "module."
"""Begins every key of a network that was trained on several devices."""
READER_TAIL: Final = "tcn."
"""Keys of a lip reader's part from features to words, which is not needed."""
ACTIVATIONS: Final = ("relu", "prelu", "swish")


def load_wav2lip(path: Path) -> Wav2Lip:
    """The generator of a public checkpoint (``wav2lip.pth``, ``wav2lip_gan.pth``), or of its safetensors copy."""
    tensors = read_safetensors(path) if path.suffix == ".safetensors" else read_entry(path, WAV2LIP_ENTRY)
    bare = {key.removeprefix(PARALLEL_PREFIX): tensor for key, tensor in tensors.items()}
    return fold(load_strict(Wav2Lip, bare, path))


def load_lip_reader(path: Path) -> LipReader:
    """A frozen lip reader from ``NAME.safetensors`` and ``NAME.json`` beside it.

    The JSON is the published network's configuration: backbone_type must be resnet; relu_type is relu, prelu or swish.
    """
    config = _reader_config(path.with_suffix(".json"))
    return fold(load_strict(lambda: LipReader(config), read_safetensors(path), path, skipped=(READER_TAIL,)))


def _reader_config(path: Path) -> LipReaderConfig:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        backbone, activation = values["backbone_type"], values["relu_type"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise WeightsError(
            f"{path} does not describe a lip reader ({e}); put the network's JSON configuration beside its weights"
        ) from e
    if backbone != "resnet" or activation not in ACTIVATIONS:
        raise WeightsError(
            f"{path} names a lip reader of kind {backbone!r} with {activation!r}; only resnet with "
            f"{', '.join(ACTIVATIONS)} can be used"
        )
    widths = tuple(values.get("widths", LipReaderConfig.widths))
    return LipReaderConfig(widths, activation)
