"""Writer of small ONNX Runtime models (.ort): FlatBuffers with the tables that the reader needs."""

import struct

import numpy as np

CODES = {"float32": 1, "uint8": 2, "int64": 7}


class Writer:
    """Builds a file from its end to its start, as FlatBuffers are built; positions are counted from the end."""

    def __init__(self):
        self.data = b""

    def put(self, content, align=8):
        padding = -(len(self.data) + len(content)) % align
        self.data = content + b"\0" * padding + self.data
        return len(self.data)

    def vector(self, values):
        return self.put(struct.pack("<I", len(values)) + values.tobytes())

    def text(self, text):
        return self.vector(np.frombuffer(text.encode() or b"", "u1"))

    def dimensions(self, shape):
        values = np.array(shape, "<i8")
        return self.put(struct.pack("<I", len(values)) + values.tobytes())

    def offsets(self, targets):
        size = 4 + 4 * len(targets)
        start = len(self.data) + size + (-(len(self.data) + size) % 8)
        entries = [struct.pack("<I", start - 4 - 4 * index - target) for index, target in enumerate(targets)]
        return self.put(struct.pack("<I", len(targets)) + b"".join(entries))

    def table(self, offsets, numbers=None):
        """Write a table; offsets: field -> position of a vector, table or string; numbers: field -> int32."""
        numbers = numbers or {}
        count = max([*offsets, *numbers]) + 1
        body = 4 + 4 * count
        head = 4 + 2 * count
        size = head + body
        start = len(self.data) + size + (-(len(self.data) + size) % 8)
        places = [4 + 4 * field if field in offsets or field in numbers else 0 for field in range(count)]
        table_start = start - head
        content = struct.pack("<HH", head, body) + struct.pack(f"<{count}H", *places) + struct.pack("<i", head)
        for field in range(count):
            if field in offsets:
                content += struct.pack("<I", table_start - 4 - 4 * field - offsets[field])
            else:
                content += struct.pack("<i", numbers.get(field, 0))
        self.put(content)
        return table_start

    def finish(self, root):
        size = len(self.data) + 8
        return struct.pack("<I", size - root) + b"ORTM" + self.data


def ort_model(nodes, tensors):
    """Return the bytes of a model. nodes: (operator, inputs, outputs); tensors: name -> array."""
    writer = Writer()
    tensor_rows = [
        writer.table(
            {0: writer.text(name), 2: writer.dimensions(value.shape), 4: writer.vector(value.ravel().view("u1"))},
            {3: CODES[str(value.dtype)]},
        )
        for name, value in tensors.items()
    ]
    node_rows = [
        writer.table({
            5: writer.text(operator),
            8: writer.offsets([writer.text(name) for name in inputs]),
            9: writer.offsets([writer.text(name) for name in outputs]),
        })
        for operator, inputs, outputs in nodes
    ]  # fmt: skip
    graph = writer.table({0: writer.offsets(tensor_rows), 2: writer.offsets(node_rows)})
    return writer.finish(writer.table({1: writer.table({7: graph})}))
