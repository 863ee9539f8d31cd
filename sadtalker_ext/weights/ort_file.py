"""Reader of the weights in models of ONNX Runtime (.ort files), without ONNX Runtime.

Format: onnxruntime/core/flatbuffers/schema/ort.fbs; the numbers of fields below are those of its tables.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.flatbuffers_table import Table, root_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPES: Final = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8"}
"""NumPy type of a TensorProto.DataType; tensors of other types are left out."""
MAX_TENSOR_VALUES: Final = 2**24


@dataclass(frozen=True)
class Node:
    """One operator: its type, and the names of its inputs and outputs."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class OrtGraph:
    """The nodes of a model in the order of the file, and its constant tensors by name."""

    nodes: tuple[Node, ...]
    tensors: dict[str, NDArray[Any]]


def read_ort_graph(data: bytes) -> OrtGraph:
    """Return the main graph of a model; WeightsError if the file is damaged."""
    try:
        model = root_table(data).table(1)
        graph = None if model is None else model.table(7)
        if graph is None:
            raise ValueError("it has no graph")
        nodes = (Node(row.text(5), tuple(row.texts(8)), tuple(row.texts(9))) for row in graph.tables(2))
        tensors = {row.text(0): value for row in graph.tables(0) if (value := _values(row)) is not None}
        return OrtGraph(tuple(nodes), tensors)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise WeightsError(f"The ONNX Runtime model is damaged ({error}); download it again") from error


def _values(tensor: Table) -> NDArray[Any] | None:
    dtype = _DTYPES.get(tensor.number(3, "i"))
    raw = tensor.vector(4, "u1")
    if dtype is None or raw is None:
        return None
    dimensions = tensor.vector(2, "<i8")
    shape = [] if dimensions is None else [int(size) for size in dimensions.astype(np.int64)]
    if min(shape, default=1) < 0 or math.prod(shape) > MAX_TENSOR_VALUES:
        raise ValueError(f"a tensor has the shape {shape}")
    return np.frombuffer(raw.tobytes(), dtype).reshape(shape)
