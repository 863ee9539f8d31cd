"""Reader of the weights in TensorFlow Lite files, without TensorFlow.

Only what the conversion of convolutional networks needs: the operators in order of execution and their constant
tensors, half precision and sparse ones included. Format: tensorflow/lite/schema/schema.fbs; the numbers of fields
below are those of its tables.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.flatbuffers_table import Table, root_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array

_OPERATORS: Final = {3: "conv", 4: "depthwise", 6: "dequantize", 32: "custom", 54: "prelu", 124: "densify"}
"""Names of the builtin operators that are used here; others get their number as name."""
_DTYPES: Final = {0: "<f4", 1: "<f2", 2: "<i4"}
MAX_TENSOR_VALUES: Final = 2**24
"""Largest number of values in a tensor; the largest real one has 0.4 million."""
_INDEX_DTYPES: Final = {1: "<i4", 2: "<u2", 3: "u1"}


@dataclass(frozen=True)
class Operator:
    """One operator: its name and its constant inputs, in order, as float32."""

    name: str
    constants: tuple[Float32Array, ...]


def read_operators(data: bytes) -> list[Operator]:
    """Return the operators of the first graph in ``data``, in order of execution; WeightsError if it is damaged."""
    try:
        return _Graph(data).operators()
    except (struct.error, IndexError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise WeightsError(f"The TensorFlow Lite file is damaged ({error}); download it again") from error


class _Graph:
    """The first graph of a model, with constants resolved through the operators that only convert them."""

    def __init__(self, data: bytes) -> None:
        model = root_table(data)
        self._codes = [max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)]
        graph = model.tables(2)[0]
        self._tensors, self._operators, self._buffers = graph.tables(0), graph.tables(3), model.tables(4)
        self._known: dict[int, Float32Array] = {}

    def operators(self) -> list[Operator]:
        found = []
        for row in self._operators:
            code = self._codes[row.number(0, "I")]
            name = _OPERATORS.get(code, str(code))
            inputs, outputs = _integers(row.vector(1, "<i4")), _integers(row.vector(2, "<i4"))
            constants = [value for index in inputs if (value := self._constant(index)) is not None]
            if name in ("dequantize", "densify"):
                if constants:
                    self._known[outputs[0]] = constants[0]
                continue
            found.append(Operator(name, tuple(constants)))
        return found

    def _constant(self, index: int) -> Float32Array | None:
        if index in self._known:
            return self._known[index]
        if index < 0:
            return None
        tensor = self._tensors[index]
        dtype = _DTYPES.get(tensor.number(1, "b"))
        values = self._buffers[tensor.number(2, "I")].vector(0, "u1")
        if values is None or dtype is None or not values.size:
            return None
        shape = _integers(tensor.vector(0, "<i4"))
        if min(shape, default=1) < 0 or math.prod(shape) > MAX_TENSOR_VALUES:
            raise ValueError(f"a tensor has the shape {shape}")
        numbers = np.frombuffer(values.tobytes(), dtype).astype(np.float32)
        sparsity = tensor.table(6)
        dense = numbers.reshape(shape) if sparsity is None else _densify(numbers, shape, sparsity)
        self._known[index] = dense
        return dense


def _densify(values: Float32Array, shape: list[int], sparsity: Table) -> Float32Array:
    """Return the dense tensor of sparse ``values`` whose last dimension is compressed (CSR) and others are dense."""
    dimensions = sparsity.tables(2)
    compressed = [dimension.number(0, "b") == 1 for dimension in dimensions]
    if compressed != [False] * (len(shape) - 1) + [True] or sparsity.vector(1, "<i4") is not None:
        raise ValueError("a sparse tensor has an unknown layout")
    segments, indices = (_index_vector(dimensions[-1], field) for field in (2, 4))
    dense = np.zeros((math.prod(shape[:-1]), shape[-1]), np.float32)
    counts = np.diff(segments)
    if len(counts) != len(dense) or counts.min(initial=0) < 0 or counts.sum() != len(values):
        raise ValueError("the rows of a sparse tensor do not fit its values")
    rows = np.repeat(np.arange(len(dense)), counts)
    dense[rows, indices] = values
    return dense.reshape(shape)


def _index_vector(dimension: Table, field: int) -> NDArray[np.int64]:
    table = dimension.table(field + 1)
    values = table.vector(0, _INDEX_DTYPES[dimension.number(field, "b")]) if table is not None else None
    if values is None:
        raise ValueError("a sparse tensor has no indices")
    return values.astype(np.int64)


def _integers(values: NDArray[np.generic] | None) -> list[int]:
    return [] if values is None else [int(value) for value in values.astype(np.int64)]
