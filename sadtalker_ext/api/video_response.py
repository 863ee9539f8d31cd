"""Responses with a video or other result, as a whole or as a byte range, which players need (RFC 9110, section 14)."""

from __future__ import annotations

import os
import re
from typing import IO, TYPE_CHECKING, Final

from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import Request

VIDEO, GLB, WAV = "video/mp4", "model/gltf-binary", "audio/wav"
"""Media types of results: a video, its 3D model, and the sound of the model."""
BLOCK_BYTES: Final = 1 << 16
_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)


def video_response(request: Request, path: Path, name: str, media_type: str = VIDEO) -> Response:
    """Return a response to GET or HEAD; OSError if the file does not exist.

    name: file name for the sender. media_type: of the file, such as :data:`VIDEO`.
    """
    file = path.open("rb")
    status = os.fstat(file.fileno())
    size, tag = status.st_size, f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    headers = {"Accept-Ranges": "bytes", "ETag": tag, "Content-Disposition": f'attachment; filename="{name}"'}
    wanted = request.headers.get("range", "") if request.method == "GET" else ""
    if request.headers.get("if-range", tag) != tag:
        wanted = ""  # the file changed since the sender has received a part of it
    span = read_range(wanted, size)
    begin, end = span or (0, size)
    if begin == end:
        file.close()
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    headers["Content-Length"] = str(end - begin)
    if span is not None:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    if request.method == "HEAD":
        file.close()
        return Response(headers=headers, media_type=media_type)
    return StreamingResponse(_blocks(file, begin, end), 206 if span else 200, headers, media_type)


def read_range(text: str, size: int) -> tuple[int, int] | None:
    """Return begin and end of a Range header; both are ``size`` if it begins after the end of the file.

    None, the whole file, for no range, for several and for a malformed one.
    """
    match = _RANGE.fullmatch(text)
    if match is None or not (match[1] or match[2]) or (match[1] and match[2] and int(match[2]) < int(match[1])):
        return None
    if not match[1]:
        return max(size - int(match[2]), 0), size
    end = min(int(match[2]) + 1, size) if match[2] else size
    return min(int(match[1]), end), end


def _blocks(file: IO[bytes], begin: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(begin)
        left = end - begin
        while left > 0 and (block := file.read(min(BLOCK_BYTES, left))):
            left -= len(block)
            yield block
