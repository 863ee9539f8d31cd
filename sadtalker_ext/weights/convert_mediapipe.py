"""Conversion of MediaPipe's face and person models (TensorFlow Lite) to this project's networks.

The source is a wheel of MediaPipe 0.10.9 to 0.10.21 from PyPI; it is read, not installed. The operators of a model and
the layers of the corresponding class have the same order, so weights are assigned one after the other. Where a class
computes networks of equal shape side by side, as groups, it takes the weights of as many operators.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.weights.face_networks import COPYRIGHT, FACE_NETWORKS, FULL_RANGE, LICENCE, build_face_network
from sadtalker_ext.weights.safetensors_file import tensors_sha256
from sadtalker_ext.weights.state_dict import save_safetensors
from sadtalker_ext.weights.tflite_file import Operator, read_operators

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.weights.face_networks import FaceNetwork

MAX_MODEL_BYTES = 16 * 2**20
"""Largest model that is read from the wheel; the real ones have 0.2 to 2.5 MB."""

ZIP_ERRORS = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, zipfile.BadZipFile)
"""Exceptions of :mod:`zipfile` for damaged, encrypted and unsupported archives."""


def convert_wheel(wheel: Path, folder: Path) -> list[Path]:
    """Convert the four models in a wheel of MediaPipe to safetensors files in ``folder``; return their paths.

    WeightsError if the file is not such a wheel or its models are not the expected ones.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            models = {network: _read_model(archive, wheel, network) for network in FACE_NETWORKS}
    except ZIP_ERRORS as error:
        raise WeightsError(f"{wheel} cannot be read as a wheel ({error}); download mediapipe 0.10.9 again") from error
    make_folder(folder, WeightsError)
    return [_convert(network, data, wheel.name, folder) for network, data in models.items()]


def convert_model(network: FaceNetwork, data: bytes) -> dict[str, torch.Tensor]:
    """Return the state dict, half precision, of a network from the bytes of its TensorFlow Lite file."""
    module = build_face_network(network)
    queue = deque(operator for operator in read_operators(data) if _is_layer(operator))
    queues = {"conv": deque[Operator](), "depthwise": deque[Operator](), "prelu": deque[Operator]()}
    for operator in queue:
        queues["conv" if operator.name == "custom" else operator.name].append(operator)
    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.PReLU)):
            _fill(layer, queues, f"{network.name}.{name}")
    if leftover := sum(len(operators) for operators in queues.values()):
        raise WeightsError(f"{network.source} has {leftover} layers more than {network.name}; use mediapipe 0.10.9")
    if network == FULL_RANGE:
        _reorder_for_pixel_shuffle(module)
    return {name: value.half().contiguous() for name, value in module.state_dict().items()}


def _read_model(archive: zipfile.ZipFile, wheel: Path, network: FaceNetwork) -> bytes:
    try:
        with archive.open(network.source) as file:
            data = file.read(MAX_MODEL_BYTES)
    except KeyError as error:
        raise WeightsError(f"{wheel} has no {network.source}; use a wheel of mediapipe 0.10.9 to 0.10.21") from error
    if hashlib.sha256(data).hexdigest() != network.source_sha256:
        raise WeightsError(f"{network.source} in {wheel} is another model; use a wheel of mediapipe 0.10.9 to 0.10.21")
    return data


def _convert(network: FaceNetwork, data: bytes, wheel_name: str, folder: Path) -> Path:
    tensors = convert_model(network, data)
    header = {
        "kind": network.name, "config": "{}", "sha256": tensors_sha256(tensors),
        "source": f"{wheel_name}, {network.source}", "source_sha256": network.source_sha256,
        "licence": LICENCE, "copyright": COPYRIGHT,
        "changes": "converted from TensorFlow Lite to PyTorch's layout by sadtalker weights convert-mediapipe",
    }  # fmt: skip
    path = folder / network.file.name
    save_safetensors(tensors, path, header)
    return path


def _is_layer(operator: Operator) -> bool:
    """Whether an operator has weights; the only custom operator with weights is a transposed convolution."""
    return operator.name in ("conv", "depthwise", "prelu") or (operator.name == "custom" and bool(operator.constants))


def _fill(layer: nn.Conv2d | nn.ConvTranspose2d | nn.PReLU, queues: dict[str, deque[Operator]], name: str) -> None:
    """Set the parameters of a layer from the next operators of its kind."""
    try:
        if isinstance(layer, nn.PReLU):
            slopes: list[Float32Array] = []
            while sum(part.size for part in slopes) < layer.num_parameters:
                slopes.append(queues["prelu"].popleft().constants[0].ravel())
            _set(layer.weight, np.concatenate(slopes))
            return
        depthwise = layer.groups == layer.in_channels > 1
        weights, biases = _take(queues["depthwise" if depthwise else "conv"], layer.out_channels, depthwise)
        if layer.kernel_size[0] == weights.shape[2] + 1:  # see BlazeBlock
            weights = np.pad(weights, ((0, 0), (0, 0), (1, 0), (1, 0)))
        if isinstance(layer, nn.ConvTranspose2d):
            weights = weights.transpose(1, 0, 2, 3)
        _set(layer.weight, weights)
        if layer.bias is not None:
            _set(layer.bias, biases)
    except (IndexError, ValueError) as error:
        raise WeightsError(f"The layer {name} does not fit the model ({error}); use mediapipe 0.10.9") from error


def _take(queue: deque[Operator], channels: int, depthwise: bool) -> tuple[Float32Array, Float32Array]:
    """Return weights (O, I, H, W) and biases (O,) of the next operators, as many as ``channels`` outputs need."""
    weights: list[Float32Array] = []
    biases: list[Float32Array] = []
    while not weights or sum(len(part) for part in weights) < channels:
        weight, bias = queue.popleft().constants
        # TensorFlow's layouts are OHWI, and 1HWO for depthwise convolutions.
        weights.append(weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2))
        biases.append(bias)
    return np.concatenate(weights), np.concatenate(biases)


def _set(parameter: torch.Tensor, values: Float32Array) -> None:
    if tuple(parameter.shape) != values.shape:
        raise ValueError(f"shape {values.shape} instead of {tuple(parameter.shape)}")
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _reorder_for_pixel_shuffle(module: nn.Module) -> None:
    """Reorder output channels: TensorFlow's depth_to_space has blocks of all channels, pixel_shuffle the reverse."""
    layers = dict(module.named_modules())
    with torch.no_grad():
        for parameter in (*layers["values"].parameters(), *layers["values_depthwise"].parameters()):
            blocks = parameter.unflatten(0, (4, -1)).transpose(0, 1).flatten(0, 1).clone()
            parameter.copy_(blocks)
