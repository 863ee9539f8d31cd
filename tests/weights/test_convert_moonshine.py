"""Conversion of the speech encoder: tensors, refusals, and the shipped file."""

import hashlib
import importlib.util
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ort_writer import ort_model

from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig
from sadtalker_ext.weights import convert_moonshine
from sadtalker_ext.weights.convert_moonshine import SOURCE, SOURCE_SHA256, convert_encoder
from sadtalker_ext.weights.ort_file import read_ort_graph
from sadtalker_ext.weights.safetensors_file import read_safetensors_file
from sadtalker_ext.weights.speech_encoder import (
    SPEECH_ENCODER_FILE,
    SPEECH_ENCODER_KIND,
    dequantize,
    load_speech_encoder,
)
from sadtalker_ext.weights.state_dict import read_header

LIMIT_BYTES = 15_000_000
SMALL = SpeechEncoderConfig(width=24, hidden=32, layers=2, heads=2)


def model_parts(config):
    """Return nodes and tensors of a random model in the layout of the published one, and the state dict it means."""
    random = np.random.default_rng(0)
    nodes, tensors, state = [], {}, {}
    for name, value in SpeechEncoder(config).state_dict().items():
        shape = tuple(value.shape)
        if name.startswith("layers") and len(shape) == 2:
            stored = random.integers(0, 256, shape[::-1], dtype=np.uint8)
            stem = f"onnx::MatMul_{len(tensors)}"
            scale, zero = np.float32(random.uniform(0.01, 0.02)), np.uint8(random.integers(100, 150))
            tensors |= {
                f"{stem}_quantized": stored, f"{stem}_scale": np.array(scale), f"{stem}_zero_point": np.array(zero),
            }  # fmt: skip
            inner = "/" + "/".join(name.split(".")[:2]).replace("layers/", "layers.") + "/"
            output = inner + "/".join(name.split(".")[2:-1]) + "/MatMul_output_0"
            operator = ("DynamicQuantizeMatMul", "MatMulIntegerToFloat")[len(nodes) % 2]
            nodes.append((operator, ("x", f"{stem}_quantized"), (output,)))
            state[name] = scale * (stored.T.astype(np.float32) - float(zero))
            continue
        state[name] = random.normal(size=shape).astype(np.float16).astype(np.float32)
        if name.startswith("groupnorm"):
            kind = "Mul" if name.endswith("weight") else "Add"
            tensors[f"onnx::{kind}"] = state[name][:, None]
            nodes.append((kind, ("x", f"onnx::{kind}"), (f"/groupnorm/{kind}_output_0",)))
        else:
            tensors[name + "_add_tensor" * name.startswith("conv")] = state[name]
    return nodes, tensors, state


def test_tensors_of_a_model():
    nodes, tensors, state = model_parts(SMALL)
    graph = read_ort_graph(ort_model(nodes, tensors))
    assert [(node.operator, node.inputs, node.outputs) for node in graph.nodes] == nodes
    converted = convert_encoder(graph, SMALL)
    assert {name for name, value in converted.items() if value.dtype == torch.uint8 and value.ndim} == {
        name for name, value in state.items() if name.startswith("layers") and value.ndim == 2
    }
    for name, value in dequantize(converted).items():
        np.testing.assert_allclose(value, state[name], rtol=1e-6, err_msg=name)


def test_model_without_a_layer_is_refused():
    nodes, tensors, _ = model_parts(SMALL)
    with pytest.raises(WeightsError, match=r"has no layers\.1\.mlp\.fc2\.weight"):
        convert_encoder(read_ort_graph(ort_model(nodes[:-1], tensors)), SMALL)
    del tensors[nodes[0][1][1]]
    with pytest.raises(WeightsError, match="has no weights"):
        convert_encoder(read_ort_graph(ort_model(nodes, tensors)), SMALL)


def test_damaged_models_are_refused():
    nodes, tensors, _ = model_parts(SMALL)
    data = ort_model(nodes, tensors)
    random = np.random.default_rng(1)
    for cut in random.integers(0, len(data) // 2, 50):
        with pytest.raises(WeightsError, match="damaged"):
            read_ort_graph(data[:cut])


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel with a small random model that passes as the real one."""
    path = tmp_path / "moonshine_voice-0.0.49.whl"
    data = ort_model(*model_parts(SMALL)[:2])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(SOURCE, data)
    monkeypatch.setattr(convert_moonshine, "SOURCE_SHA256", hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(convert_moonshine, "SpeechEncoderConfig", lambda: SMALL)
    return path


def test_command_writes_the_file_with_its_source(wheel, tmp_path, capsys):
    assert main(["weights", "convert-moonshine", str(wheel), str(tmp_path / "out")]) == 0
    path = Path(capsys.readouterr().out.strip())
    header = read_header(path)["__metadata__"]
    assert header["licence"] == "MIT"
    assert header["source"] == f"{wheel.name}, {SOURCE}"
    assert load_speech_encoder(path).config == SMALL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no file", "cannot be read as a wheel"), ("text", "cannot be read as a wheel"),
        ("empty", "has no moonshine_voice"), ("other model", "is another model"),
    ],
)  # fmt: skip
def test_other_files_are_refused_with_a_sentence(wheel, tmp_path, capsys, change, message):
    wheel.unlink()
    if change == "text":
        wheel.write_text("not a wheel")
    elif change != "no file":
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("readme" if change == "empty" else SOURCE, b"\0" * 100)
    assert main(["weights", "convert-moonshine", str(wheel), str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_file_with_other_tensors_is_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(SPEECH_ENCODER_FILE.read_bytes()[:-8])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_speech_encoder(path)


def test_shipped_file_is_small_and_names_its_source():
    assert SPEECH_ENCODER_FILE.stat().st_size <= LIMIT_BYTES
    header = read_header(SPEECH_ENCODER_FILE)["__metadata__"]
    assert header["source_sha256"] == SOURCE_SHA256
    assert header["source"].endswith(SOURCE)
    assert "Moonshine" in header["copyright"]


@pytest.mark.skipif(importlib.util.find_spec("moonshine_voice") is None, reason="needs moonshine_voice 0.0.49")
def test_shipped_weights_are_those_of_the_installed_package():
    folder = Path(importlib.util.find_spec("moonshine_voice").submodule_search_locations[0]).parent
    converted = convert_encoder(read_ort_graph((folder / SOURCE).read_bytes()), SpeechEncoderConfig())
    shipped = read_safetensors_file(SPEECH_ENCODER_FILE, SPEECH_ENCODER_KIND).tensors
    assert converted.keys() == shipped.keys()
    assert all(torch.equal(converted[name], shipped[name]) for name in shipped)
