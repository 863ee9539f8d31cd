"""Safetensors files with invalid headers or unusual dtypes are refused with a WeightsError or read correctly."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights import official
from sadtalker_ext.weights.packaged import read_packaged_config
from sadtalker_ext.weights.safetensors_file import read_safetensors_file, tensors_sha256
from sadtalker_ext.weights.state_dict import load_strict, read_safetensors

TENSOR = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
READERS = {
    "tensors": read_safetensors,
    "own file": lambda path: read_safetensors_file(path, "network"),
    "packaged": read_packaged_config,
    "mapping": lambda path: official.read_mapping_config(path, next(iter(official.MAPPINGS))),
}
UNREADABLE = {
    "offsets are text": {"a": {**TENSOR, "data_offsets": ["0", "16"]}},
    "one offset": {"a": {**TENSOR, "data_offsets": [16]}},
    "offsets are true": {"a": {**TENSOR, "data_offsets": [0, True]}},
    "offsets are an object": {"a": {**TENSOR, "data_offsets": {"0": 0, "1": 16}}},
    "negative offset": {"a": {**TENSOR, "data_offsets": [-1, 16]}},
    "tensor is a number": {"a": 5},
    "header is a list": [TENSOR],
    "header is a number": 5,
    "metadata is a number": {"__metadata__": 5, "a": TENSOR},
    "metadata is a list": {"__metadata__": ["config"], "a": TENSOR},
    "metadata is nested": {"__metadata__": {"config": {"size_px": 64}}, "a": TENSOR},
    "deep list": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "many digits": b'{"a":' + b"9" * 5000 + b"}",
    "not UTF-8": b"\xff\xfe{}",
}
UNREADABLE_TENSORS = {
    "unknown dtype": {"a": {**TENSOR, "dtype": "Q9"}},
    "dtype is a number": {"a": {**TENSOR, "dtype": 5}},
    "negative shape": {"a": {**TENSOR, "shape": [-4]}},
    "shape is text": {"a": {**TENSOR, "shape": "4"}},
    "shape of another size": {"a": {**TENSOR, "shape": [5]}},
    "huge shape": {"a": {**TENSOR, "shape": [2**62, 2**62]}},
}


def write_header(path, header):
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content)) + content + bytes(16))
    return path


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("header", UNREADABLE.values(), ids=UNREADABLE)
def test_invalid_headers_are_refused(tmp_path, header, reader):
    path = write_header(tmp_path / "bad.safetensors", header)
    with pytest.raises(WeightsError, match=r"bad\.safetensors"):
        reader(path)


@pytest.mark.parametrize("reader", ["tensors", "own file"])
@pytest.mark.parametrize("header", UNREADABLE_TENSORS.values(), ids=UNREADABLE_TENSORS)
def test_invalid_tensors_are_refused(tmp_path, header, reader):
    path = write_header(tmp_path / "bad.safetensors", header)
    with pytest.raises(WeightsError, match=r"bad\.safetensors"):
        READERS[reader](path)


@pytest.mark.parametrize("config", ["null", "5", "[]", "", "{", '{"size_px": null}', "[" * 100_000])
def test_invalid_configs_are_refused(tmp_path, config):
    path = write_header(tmp_path / "bad.safetensors", {"__metadata__": {"config": config}, "a": TENSOR})
    for reader in (READERS["packaged"], READERS["mapping"]):
        with pytest.raises(WeightsError, match=r"bad\.safetensors"):
            reader(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.bool, torch.int64])
def test_tensors_of_any_dtype_are_hashed(tmp_path, dtype):
    tensors = {"a": torch.tensor([[0.0, 1.0], [2.0, 3.0]]).to(dtype), "b": torch.tensor(1.0).to(dtype)}
    digest = tensors_sha256(tensors)
    path = tmp_path / "a.safetensors"
    save_file(tensors, path, {"kind": "network", "sha256": digest, "config": "{}"})
    assert read_safetensors_file(path, "network").tensors["a"].dtype == dtype
    assert tensors_sha256({**tensors, "b": torch.tensor(0.0).to(dtype)}) != digest


def test_integers_instead_of_weights_are_refused(tmp_path):
    tensors = {"weight": torch.zeros(2, 3, dtype=torch.int64), "bias": torch.zeros(2)}
    with pytest.raises(WeightsError, match=r"weight has dtype torch\.int64, not torch\.float32"):
        load_strict(lambda: nn.Linear(3, 2), tensors, tmp_path / "a.safetensors")
