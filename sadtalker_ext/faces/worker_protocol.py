"""Messages between this process and the face worker: a JSON header followed by raw arrays.

One message is ``b"STF1"``, the length of the header and the length of the body (little endian, 4 and 8 bytes),
the header (JSON, UTF-8) and the body (the arrays' bytes one after another, C order).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC = b"STF1"
_PREFIX = struct.Struct("<4sIQ")

Array = NDArray[Any]


class WorkerProtocolError(Exception):
    """The other process has ended or sent an invalid message."""


def write_message(stream: BinaryIO, header: dict[str, Any], arrays: Sequence[Array] = ()) -> None:
    """Send one message; ``header`` contains JSON values, ``arrays`` keep shape and dtype."""
    parts = [np.ascontiguousarray(array) for array in arrays]
    shapes = [[part.dtype.str, list(part.shape)] for part in parts]
    text = json.dumps({**header, "arrays": shapes}).encode()
    stream.write(_PREFIX.pack(MAGIC, len(text), sum(part.nbytes for part in parts)))
    stream.write(text)
    for part in parts:
        stream.write(part.data)
    stream.flush()


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], list[Array]]:
    """Receive one message; :class:`WorkerProtocolError` if the stream ends or the message is invalid."""
    magic, header_length, body_length = _PREFIX.unpack(_read_exactly(stream, _PREFIX.size))
    if magic != MAGIC:
        raise WorkerProtocolError(f"expected {MAGIC!r}, got {magic!r}")
    header = json.loads(_read_exactly(stream, header_length))
    body = _read_exactly(stream, body_length)
    arrays, start = [], 0
    for dtype, shape in header.pop("arrays"):
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(body, np.dtype(dtype), count, start).reshape(shape)
        arrays.append(array)
        start += array.nbytes
    return header, arrays


def _read_exactly(stream: BinaryIO, length: int) -> bytearray:
    data = bytearray(length)
    view, done = memoryview(data), 0
    while done < length:
        got = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            raise WorkerProtocolError("the stream ended")
        done += got
    return data
