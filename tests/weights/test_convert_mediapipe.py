"""Conversion of MediaPipe's models, from files with random weights of this project's own networks."""

import hashlib
import importlib.util
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tflite_writer import Model
from torch import nn

from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.blaze_blocks import BlazeBlock
from sadtalker_ext.weights import convert_mediapipe
from sadtalker_ext.weights.convert_mediapipe import convert_model, convert_wheel
from sadtalker_ext.weights.face_networks import (
    FACE_NETWORKS,
    FULL_RANGE,
    build_face_network,
    layout_of,
    load_face_network,
    read_face_weights,
)
from sadtalker_ext.weights.safetensors_file import tensors_sha256
from sadtalker_ext.weights.state_dict import read_header, save_safetensors

LIMIT_BYTES = 8 * 2**20


def random_network(network):
    torch.manual_seed(7)
    module = build_face_network(network)
    for part in module.modules():
        if isinstance(part, nn.PReLU):
            part.weight.data.uniform_(-1, 1)
        if isinstance(part, BlazeBlock) and part.stride == 2:
            part.depthwise.weight.data[:, :, 0] = 0
            part.depthwise.weight.data[:, :, :, 0] = 0
    return module.half()


def add_layer(model, name, layer, mixed):
    """Write a layer in TensorFlow's layout; each group becomes a separate operator."""
    if isinstance(layer, nn.PReLU):
        for part in np.split(layer.weight.detach().numpy(), 2):
            model.operator("prelu", [model.half(part.reshape(1, 1, -1))])
        return
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        model.operator("custom", [model.half(weight.transpose(1, 2, 3, 0)), model.half(bias)])
        return
    if name in mixed:
        weight, bias = (
            part.reshape(-1, 4, *part.shape[1:]).swapaxes(0, 1).reshape(part.shape) for part in (weight, bias)
        )
    if layer.groups == layer.in_channels > 1:
        kernel = weight[:, :, 1:, 1:] if layer.kernel_size == (4, 4) else weight
        model.operator("depthwise", [model.half(kernel.transpose(1, 2, 3, 0)), model.half(bias)])
        return
    for part, own in zip(np.split(weight, layer.groups), np.split(bias, layer.groups), strict=True):
        model.operator("conv", [model.half(part.transpose(0, 2, 3, 1)), model.half(own)])


def model_file(network):
    module, model = random_network(network), Model()
    mixed = ("values", "values_depthwise") if network == FULL_RANGE else ()
    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.PReLU)):
            add_layer(model, name, layer, mixed)
    return module, model.encode()


@pytest.mark.parametrize("network", FACE_NETWORKS, ids=lambda network: network.name)
def test_every_weight_arrives_at_its_place(network):
    module, data = model_file(network)
    converted = convert_model(network, data)
    expected = module.state_dict()
    assert converted.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(converted[name], value), name


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel with random models that pass as the real ones."""
    path = tmp_path / "mediapipe-0.10.9-cp311.whl"
    networks = []
    with zipfile.ZipFile(path, "w") as archive:
        for network in FACE_NETWORKS:
            _, data = model_file(network)
            archive.writestr(network.source, data)
            networks.append(replace(network, source_sha256=hashlib.sha256(data).hexdigest()))
    monkeypatch.setattr(convert_mediapipe, "FACE_NETWORKS", tuple(networks))
    monkeypatch.setattr(convert_mediapipe, "FULL_RANGE", networks[1])
    return path


def test_command_writes_four_files_with_their_source(wheel, tmp_path, capsys):
    assert main(["weights", "convert-mediapipe", str(wheel), str(tmp_path / "out")]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.split()]
    assert [path.stem for path in paths] == [network.name for network in FACE_NETWORKS]
    for path, network in zip(paths, FACE_NETWORKS, strict=True):
        header = read_header(path)["__metadata__"]
        assert (header["kind"], header["licence"]) == (network.name, "Apache-2.0")
        assert header["source"] == f"{wheel.name}, {network.source}"
        load_face_network(network, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no file", "cannot be read as a wheel"), ("text", "cannot be read as a wheel"),
        ("truncated", "cannot be read as a wheel"), ("empty", "has no mediapipe/modules"),
        ("other model", "is another model"), ("too long", "is another model"),
    ],
)  # fmt: skip
def test_other_files_are_refused_with_a_sentence(wheel, tmp_path, capsys, change, message):
    if change == "no file":
        wheel.unlink()
    elif change == "text":
        wheel.write_text("not a wheel")
    elif change == "truncated":
        wheel.write_bytes(wheel.read_bytes()[:-200])
    else:
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            if change != "empty":
                archive.writestr(FACE_NETWORKS[0].source, b"\0" * (100 if change == "other model" else 40_000_000))
    assert main(["weights", "convert-mediapipe", str(wheel), str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_created(wheel, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be created"):
        convert_wheel(wheel, tmp_path / "file" / "out")


def test_shipped_files_are_small_and_name_their_source():
    assert sum(network.file.stat().st_size for network in FACE_NETWORKS) <= LIMIT_BYTES
    for network in FACE_NETWORKS:
        header = read_header(network.file)["__metadata__"]
        assert header["source_sha256"] == network.source_sha256
        assert header["source"].endswith(network.source)
        assert header["licence"] == "Apache-2.0"
        assert "convert-mediapipe" in header["changes"]


@pytest.mark.parametrize("network", FACE_NETWORKS, ids=lambda network: network.name)
def test_shipped_weights_are_those_of_an_installed_mediapipe(network):
    spec = importlib.util.find_spec("mediapipe")
    source = Path(next(iter(spec.submodule_search_locations))).parent / network.source if spec else None
    if source is None or not source.is_file():
        pytest.skip("mediapipe 0.10.9 to 0.10.21 is not installed")
    shipped = load_file(network.file)
    converted = convert_model(network, source.read_bytes())
    assert converted.keys() == shipped.keys()
    assert all(torch.equal(converted[name], value) for name, value in shipped.items())


@pytest.mark.parametrize("network", FACE_NETWORKS, ids=lambda network: network.name)
def test_the_layout_of_a_file_is_that_of_its_module(network):
    assert layout_of(build_face_network(network).state_dict()) == network.layout


@pytest.mark.parametrize("change", ["missing", "damaged", "other network", "other layers"])
def test_files_that_do_not_fit_are_refused(tmp_path, change):
    network, other = FACE_NETWORKS[:2]
    path = tmp_path / "weights.safetensors"
    if change == "damaged":
        data = bytearray(network.file.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
    elif change == "other network":
        path.write_bytes(other.file.read_bytes())
    elif change == "other layers":
        tensors = load_file(other.file)
        save_safetensors(tensors, path, {"kind": network.name, "config": "{}", "sha256": tensors_sha256(tensors)})
    for read in (load_face_network, read_face_weights):
        with pytest.raises(WeightsError, match=r"weights\.safetensors") as caught:
            read(network, path)
        assert "\n" not in str(caught.value)
