"""Conversion of Moonshine Tiny's encoder (ONNX Runtime format) to this project's network.

The source is a wheel of moonshine_voice from PyPI; it is read, not installed. Linear layers are recognised by the name
of the output of their node, such as ``/layers.0/self_attn/q_proj/MatMul_output_0``.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.weights.convert_mediapipe import ZIP_ERRORS
from sadtalker_ext.weights.ort_file import OrtGraph, read_ort_graph
from sadtalker_ext.weights.safetensors_file import tensors_sha256
from sadtalker_ext.weights.speech_encoder import (
    COPYRIGHT,
    LICENCE,
    SCALE,
    SPEECH_ENCODER_FILE,
    SPEECH_ENCODER_KIND,
    ZERO_POINT,
    dequantize,
)
from sadtalker_ext.weights.state_dict import save_safetensors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SOURCE: Final = "moonshine_voice/assets/tiny-en/encoder_model.ort"
SOURCE_SHA256: Final = "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221"
MAX_MODEL_BYTES: Final = 32 * 2**20
"""Largest model that is read from the wheel; the real one has 13.3 MB."""
_QUANTIZED: Final = "_quantized"
_LINEAR: Final = ("DynamicQuantizeMatMul", "MatMulIntegerToFloat")
_GROUP_NORM: Final = {
    "/groupnorm/Mul_output_0": "groupnorm.weight",
    "/groupnorm/Add_output_0": "groupnorm.bias",
}  # fmt: skip
"""Parameters that are known by the output of their node only."""
_MERGED: Final = "_add_tensor"
"""Ending that ONNX Runtime's optimiser appends to the names of some weights."""


def convert_moonshine_wheel(wheel: Path, folder: Path) -> Path:
    """Convert the encoder in a wheel of moonshine_voice to a safetensors file in ``folder``; return its path.

    WeightsError if the file is not such a wheel or its model is not the expected one.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(SOURCE) as file:
            data = file.read(MAX_MODEL_BYTES)
    except KeyError as error:
        raise WeightsError(f"{wheel} has no {SOURCE}; use the wheel of moonshine_voice 0.0.49") from error
    except ZIP_ERRORS as error:
        raise WeightsError(
            f"{wheel} cannot be read as a wheel ({error}); download moonshine_voice 0.0.49 again"
        ) from error
    if hashlib.sha256(data).hexdigest() != SOURCE_SHA256:
        raise WeightsError(f"{SOURCE} in {wheel} is another model; use the wheel of moonshine_voice 0.0.49")
    config = SpeechEncoderConfig()
    tensors = convert_encoder(read_ort_graph(data), config)
    header = {
        "kind": SPEECH_ENCODER_KIND, "config": json.dumps(asdict(config)), "sha256": tensors_sha256(tensors),
        "source": f"{wheel.name}, {SOURCE}", "source_sha256": SOURCE_SHA256,
        "licence": LICENCE, "copyright": COPYRIGHT,
        "changes": "converted from ONNX Runtime to PyTorch's layout by sadtalker weights convert-moonshine; "
        "convolutions in half precision",
    }  # fmt: skip
    make_folder(folder, WeightsError)
    path = folder / SPEECH_ENCODER_FILE.name
    save_safetensors(tensors, path, header)
    return path


def convert_encoder(graph: OrtGraph, config: SpeechEncoderConfig) -> dict[str, torch.Tensor]:
    """Return the tensors of the file: linear weights in 8 bit, convolutions in half precision, the rest as it is.

    WeightsError if the graph does not have the tensors of the network.
    """
    expected = {name: tuple(value.shape) for name, value in SpeechEncoder(config).state_dict().items()}
    tensors: dict[str, torch.Tensor] = {}
    for node in graph.nodes:
        try:
            if node.operator in _LINEAR:
                tensors.update(_linear_tensors(graph, node.inputs[1], _layer_name(node.outputs[0])))
            elif node.outputs and node.outputs[0] in _GROUP_NORM:
                tensors[_GROUP_NORM[node.outputs[0]]] = _tensor(graph.tensors[node.inputs[1]].ravel())
        except (KeyError, IndexError) as error:
            raise WeightsError(f"The node {node.outputs} has no weights; use moonshine_voice 0.0.49") from error
    for name in expected:
        for source in (name, name + _MERGED):
            if source in graph.tensors:
                value = _tensor(graph.tensors[source])
                tensors[name] = value.half() if name.startswith("conv") else value
    found = {name: tuple(value.shape) for name, value in dequantize(tensors).items()}
    if found != expected:
        wrong = sorted(name for name in expected if found.get(name) != expected[name])
        raise WeightsError(f"The model has no {', '.join(wrong)} of the expected shape; use moonshine_voice 0.0.49")
    return tensors


def _linear_tensors(graph: OrtGraph, weight: str, name: str) -> dict[str, torch.Tensor]:
    """Return the 8-bit weight of a linear layer with its scale and zero point; ONNX has inputs before outputs."""
    stem = weight.removesuffix(_QUANTIZED)
    return {
        name: _tensor(graph.tensors[weight].T),
        name + SCALE: _tensor(graph.tensors[stem + "_scale"].reshape(())),
        name + ZERO_POINT: _tensor(graph.tensors[stem + "_zero_point"].reshape(())),
    }


def _layer_name(output: str) -> str:
    return ".".join(output.strip("/").split("/")[:-1]) + ".weight"


def _tensor(values: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(values, order="C"))
