"""TensorFlow Lite files made by a separate writer: their weights are read, and damaged ones are refused."""

import contextlib
import struct

import numpy as np
import pytest
from tflite_writer import Model

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.tflite_file import read_operators


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    sparse = rng.integers(-8, 8, (4, 1, 1, 6)) / 4 * (rng.random((4, 1, 1, 6)) < 0.4)
    sparse[2] = 0
    return {
        "plain": rng.normal(size=(4, 3, 3, 2)).astype(np.float32),
        "half": (rng.integers(-64, 64, (1, 3, 3, 8)) / 16).astype(np.float32),
        "sparse": sparse.astype(np.float32),
        "bias": rng.normal(size=4).astype(np.float32),
    }


@pytest.fixture(scope="module")
def file(arrays):
    model = Model()
    picture = model.tensor(shape=(1, 8, 8, 2))
    model.operator("conv", [picture, model.tensor(arrays["plain"]), model.tensor(arrays["bias"])])
    model.operator("depthwise", [picture, model.half(arrays["half"])])
    model.operator("conv", [picture, model.sparse(arrays["sparse"]), model.half(arrays["bias"])])
    model.operator("custom", [picture])
    return model.encode()


def test_operators_and_their_constants_are_read_in_order(file, arrays):
    first, second, third, fourth = read_operators(file)
    assert [first.name, second.name, third.name, fourth.name] == ["conv", "depthwise", "conv", "custom"]
    np.testing.assert_array_equal(first.constants[0], arrays["plain"])
    np.testing.assert_array_equal(first.constants[1], arrays["bias"])
    np.testing.assert_array_equal(second.constants[0], arrays["half"])
    np.testing.assert_array_equal(third.constants[0], arrays["sparse"])
    np.testing.assert_array_equal(third.constants[1], arrays["bias"].astype(np.float16))
    assert fourth.constants == ()
    assert all(value.dtype == np.float32 for operator in (first, second, third) for value in operator.constants)


def try_to_read(data):
    """Read a damaged file, which gives operators or a WeightsError; any other exception fails the test."""
    with contextlib.suppress(WeightsError):
        read_operators(bytes(data))


def test_truncated_files_are_refused(file):
    with pytest.raises(WeightsError, match="TensorFlow Lite file is damaged"):
        read_operators(file[:100])
    for length in range(0, len(file), 3):
        try_to_read(file[:length])


def test_changed_bytes_give_a_result_or_an_error(file):
    rng = np.random.default_rng(1)
    for _ in range(1500):
        data = bytearray(file)
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(0, 256)
        try_to_read(data)


def test_large_numbers_anywhere_take_no_memory(file):
    for place in range(0, len(file) - 4, 4):
        for number in (0x7FFFFFFF, 0xFFFFFFFF, 0x00FFFFFF):
            data = bytearray(file)
            struct.pack_into("<I", data, place, number)
            try_to_read(data)
