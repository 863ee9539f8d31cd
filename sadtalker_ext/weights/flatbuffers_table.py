"""Reader of FlatBuffers, the format of TensorFlow Lite and ONNX Runtime models.

Format: "FlatBuffers binary format", flatbuffers.dev. The numbers of the fields are those of the schema of a file.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Table:
    """A table at a position of the file; absent fields give None, 0, an empty text or an empty list.

    Damaged files raise struct.error, IndexError, ValueError or OverflowError.
    """

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._fields = position - struct.unpack_from("<i", data, position)[0]
        self._count = (struct.unpack_from("<H", data, self._fields)[0] - 4) // 2

    def _offset(self, field: int) -> int:
        if field >= self._count:
            return 0
        offset: int = struct.unpack_from("<H", self._data, self._fields + 4 + 2 * field)[0]
        return offset

    def number(self, field: int, code: str) -> int:
        """Return a field whose type has this code of :mod:`struct`."""
        offset = self._offset(field)
        return int(struct.unpack_from("<" + code, self._data, self._position + offset)[0]) if offset else 0

    def _target(self, field: int) -> int:
        """Return the position that the field refers to, 0 if it is absent."""
        offset = self._offset(field)
        if not offset:
            return 0
        place = self._position + offset
        return place + int(struct.unpack_from("<I", self._data, place)[0])

    def table(self, field: int) -> Table | None:
        """Return a field that is a table."""
        target = self._target(field)
        return Table(self._data, target) if target else None

    def vector(self, field: int, dtype: str) -> NDArray[np.generic] | None:
        """Return a field that is a vector of numbers."""
        target = self._target(field)
        if not target:
            return None
        count = struct.unpack_from("<I", self._data, target)[0]
        return np.frombuffer(self._data, dtype, count, target + 4)

    def text(self, field: int) -> str:
        """Return a field that is a string."""
        values = self.vector(field, "u1")
        return "" if values is None else values.tobytes().decode("utf-8")

    def tables(self, field: int) -> list[Table]:
        """Return a field that is a vector of tables."""
        return [Table(self._data, place) for place in self._places(field)]

    def texts(self, field: int) -> list[str]:
        """Return a field that is a vector of strings."""
        return [
            self._data[place + 4 : place + 4 + self._count_at(place)].decode("utf-8") for place in self._places(field)
        ]

    def _places(self, field: int) -> list[int]:
        """Return the positions that a vector of offsets refers to."""
        target = self._target(field)
        if not target:
            return []
        count = self._count_at(target)
        if 4 * count > len(self._data):
            raise ValueError("a list is longer than the file")
        places = [target + 4 + 4 * index for index in range(count)]
        return [place + self._count_at(place) for place in places]

    def _count_at(self, place: int) -> int:
        return int(struct.unpack_from("<I", self._data, place)[0])


def root_table(data: bytes) -> Table:
    """Return the root table of a file."""
    return Table(data, struct.unpack_from("<I", data, 0)[0])
