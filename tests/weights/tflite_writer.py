"""Writer of small TensorFlow Lite files, with a separate FlatBuffers encoder: fields in forward order, no sharing."""

import struct

import numpy as np

CODES = {"conv": 3, "depthwise": 4, "dequantize": 6, "custom": 32, "prelu": 54, "densify": 124}
FLOAT32, FLOAT16 = 0, 1


class Table(dict):
    """Fields by number: ("b" or "i" or "I", value), bytes, an integer or float array, a Table, or a list of Tables."""


def encode(root):
    """Return the FlatBuffers file with the root table."""
    data = bytearray(8)
    struct.pack_into("<I", data, 0, _write_table(data, root))
    return bytes(data)


def _align(data):
    data.extend(b"\0" * (-len(data) % 4))


def _write_table(data, table):
    _align(data)
    count = max(table, default=-1) + 1
    vtable = len(data)
    size = 4 + 4 * count
    data += struct.pack("<HH", 4 + 2 * count, size)
    data += b"".join(struct.pack("<H", 4 + 4 * field if field in table else 0) for field in range(count))
    _align(data)
    start = len(data)
    data += struct.pack("<i", start - vtable) + bytes(4 * count)
    for field, value in table.items():
        slot = start + 4 + 4 * field
        if isinstance(value, tuple):
            struct.pack_into("<" + value[0], data, slot, value[1])
        else:
            struct.pack_into("<I", data, slot, _write_value(data, value) - slot)
    return start


def _write_value(data, value):
    if isinstance(value, Table):
        return _write_table(data, value)
    _align(data)
    start = len(data)
    if isinstance(value, list):
        data += struct.pack("<I", len(value)) + bytes(4 * len(value))
        for index, table in enumerate(value):
            slot = start + 4 + 4 * index
            struct.pack_into("<I", data, slot, _write_table(data, table) - slot)
        return start
    content = value if isinstance(value, bytes) else np.asarray(value).tobytes()
    data += struct.pack("<I", len(value)) + content
    return start


class Model:
    """Collects operators with constant inputs and encodes them as a file."""

    def __init__(self):
        self.tensors, self.buffers, self.operators = [], [Table()], []

    def tensor(self, values=None, dtype=np.float32, sparsity=None, shape=None):
        """Add a tensor, without values for one that is computed; return its number."""
        shape = np.shape(values) if shape is None else shape
        table = Table({0: np.asarray(shape, "<i4"), 1: ("b", FLOAT16 if dtype == np.float16 else FLOAT32)})
        if values is not None:
            self.buffers.append(Table({0: np.asarray(values, dtype).tobytes()}))
            table[2] = ("I", len(self.buffers) - 1)
        if sparsity is not None:
            table[6] = sparsity
        self.tensors.append(table)
        return len(self.tensors) - 1

    def half(self, values):
        """Add a constant in half precision with the operator that converts it; return the number of the result."""
        result = self.tensor(shape=np.shape(values))
        self.operator("dequantize", [self.tensor(values, np.float16)], result)
        return result

    def sparse(self, values):
        """Add a constant (..., C) as compressed rows, in half precision; return the number of the dense tensor."""
        rows = np.asarray(values).reshape(-1, np.shape(values)[-1])
        segments = np.concatenate([[0], np.cumsum((rows != 0).sum(1))]).astype("<u2")
        indices = np.nonzero(rows)[1].astype("u1")
        dense = [Table({0: ("b", 0), 1: ("i", size)}) for size in np.shape(values)[:-1]]
        last = Table({0: ("b", 1), 2: ("b", 2), 3: Table({0: segments}), 4: ("b", 3), 5: Table({0: indices})})
        order = np.arange(np.ndim(values), dtype="<i4")
        packed = self.tensor(rows[rows != 0], np.float16, Table({0: order, 2: [*dense, last]}), np.shape(values))
        converted = self.tensor(shape=np.shape(values))
        self.operator("densify", [packed], converted)
        return converted

    def operator(self, name, inputs, output=None):
        """Add an operator with tensor numbers."""
        output = self.tensor(shape=(1,)) if output is None else output
        code = ("I", list(CODES).index(name))
        self.operators.append(Table({0: code, 1: np.asarray(inputs, "<i4"), 2: np.asarray([output], "<i4")}))

    def encode(self):
        """Return the bytes of the file."""
        codes = [Table({0: ("b", min(code, 127)), 3: ("i", code)}) for code in CODES.values()]
        graph = Table({0: self.tensors, 3: self.operators})
        return encode(Table({0: ("I", 3), 1: codes, 2: [graph], 4: self.buffers}))
