"""The speech encoder that ships with the package: the encoder of Moonshine Tiny (Moonshine AI, MIT licence).

The weights were converted by ``sadtalker weights convert-moonshine``. As in the source, the linear layers are stored as
8-bit integers with one scale and one zero point per layer, and are used in float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.config_json import config_from_json
from sadtalker_ext.weights.safetensors_file import fill_network, read_safetensors_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from sadtalker_ext.models.speech_encoder import SpeechEncoder

SPEECH_ENCODER_FILE: Final = Path(__file__).with_name("speech_encoder.safetensors")
SPEECH_ENCODER_KIND: Final = "speech encoder"
"""The entry ``kind`` in the header of the file."""
LICENCE: Final = "MIT"
COPYRIGHT: Final = "Copyright (c) 2025 Moonshine AI"
SCALE, ZERO_POINT = ".scale", ".zero_point"
"""Endings of the two tensors that belong to an 8-bit weight."""


def load_speech_encoder(path: Path | None = None) -> SpeechEncoder:
    """Load the shipped encoder, or the one in ``path``; float32, on the CPU, frozen, in eval mode.

    WeightsError if the file is missing, damaged, or has other tensors.
    """
    from sadtalker_ext.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig

    source = path or SPEECH_ENCODER_FILE
    file = read_safetensors_file(source, SPEECH_ENCODER_KIND)
    config = config_from_json(SpeechEncoderConfig, file.config, source)
    try:
        tensors = dequantize(file.tensors)
    except (TypeError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{source} has incomplete 8-bit weights ({error}); install the package again") from error
    return fill_network(lambda: SpeechEncoder(config), tensors, source)


def dequantize(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 tensors; uint8 weights become ``scale * (weight - zero_point)``, of tensors named after them."""
    import torch

    state = {}
    for name, value in tensors.items():
        if name.endswith((SCALE, ZERO_POINT)):
            continue
        if value.dtype == torch.uint8:
            weight = value.float()  # changed in place: new memory for each step takes twice the time
            state[name] = weight.sub_(tensors[name + ZERO_POINT].float()).mul_(tensors[name + SCALE])
        else:
            state[name] = value.float()
    return state
