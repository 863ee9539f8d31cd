"""Bodies of requests: received in blocks with limits of size, time and nesting, and parsed outside the event loop."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, Final

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

MAX_JSON_BYTES: Final = 64_000_000
"""Largest JSON body: it has to be in memory as a whole, while the files of a form are written to disk in blocks."""
MAX_FIELD_BYTES: Final = 1_000_000
"""Largest field of a form that is not a file; newer versions of Starlette have about the same limit."""
MAX_PARTS: Final = 32
MAX_DEPTH: Final = 32
"""Levels of nested lists and objects in JSON."""
MAX_DIGITS: Final = 300
"""Digits of an integer in JSON; no float has more."""
MAX_LENGTH_DIGITS: Final = 18
IDLE_TIMEOUT_S: Final = 30.0
"""Longest wait for the next bytes of a body."""
SLOW_AFTER_S: Final = 60.0
"""Duration after which a body must have arrived with :data:`MIN_RATE_BYTES_S` on average."""
MIN_RATE_BYTES_S: Final = 10_000
MEMORY_BYTES: Final = 1 << 20
"""Bytes of a JSON body that are kept in memory while it is received; the rest is on disk."""
_parser = ThreadPoolExecutor(1, "sadtalker-json")
"""One JSON body is in memory at a time."""


def check_size(request: Request, max_bytes: int) -> None:
    """Raise HTTPException for a body that is too large or of unknown size, before it is read."""
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise HTTPException(411, "The size of the request is unknown; send a Content-Length header")
    if len(length) > MAX_LENGTH_DIGITS or int(length) > max_bytes:
        raise HTTPException(
            413, f"The request is larger than the allowed {max_bytes / 1e6:g} MB; send smaller files"
        )  # fmt: skip


async def read_fields(request: Request, max_bytes: int) -> dict[str, Any]:
    """Return the fields of a form, with its files, or of a JSON object; HTTPException 4xx if the body is not valid."""
    check_size(request, max_bytes)
    limited = Request(request.scope, _limit_waits(request.receive))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            return await _read_form(limited)
        if kind == "application/json":
            return await _read_json_body(limited)
    except ClientDisconnect as e:
        raise HTTPException(400, "The connection was closed before the whole request arrived") from e
    raise HTTPException(415, "The content type must be multipart/form-data, with files, or application/json")


def parse_json(text: str | bytes, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a JSON text; HTTPException 400 if it is not valid JSON, nested too deep or not Unicode.

    name: what the text is, for messages.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text))
        value = json.loads(text, parse_int=_parse_integer)
        _check_values(value)
    except RecursionError as e:
        raise HTTPException(400, f"The {name} is nested deeper than {MAX_DEPTH} levels") from e
    except UnicodeError as e:
        raise HTTPException(400, f"The {name} contains bytes or characters that are not Unicode text") from e
    except ValueError as e:
        raise HTTPException(400, f"The {name} is not valid JSON: {e}") from e
    return value


def _parse_integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"it contains a number of {len(digits)} digits; {MAX_DIGITS} are allowed")
    return int(digits)


def _check_values(value: object) -> None:
    """Raise RecursionError for deep nesting, UnicodeError for text with a lone surrogate."""
    level = [value]
    for _ in range(MAX_DEPTH):
        following: list[object] = []
        for item in level:
            if isinstance(item, str) and not item.isascii():
                item.encode()
            elif isinstance(item, dict):
                following += [*item, *item.values()]
            elif isinstance(item, list):
                following += item
        level = following
    if level:
        raise RecursionError


async def _read_json_body(request: Request) -> dict[str, Any]:
    if int(request.headers["content-length"]) > MAX_JSON_BYTES:
        raise HTTPException(
            413, f"A JSON request may have at most {MAX_JSON_BYTES / 1e6:g} MB; send large files as multipart/form-data"
        )
    with tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES) as spool:
        async for block in request.stream():
            if spool.tell() + len(block) > MEMORY_BYTES:
                await run_in_threadpool(spool.write, block)
            else:
                spool.write(block)
        body = await asyncio.get_running_loop().run_in_executor(_parser, _parse_file, spool)
    if not isinstance(body, dict):
        raise HTTPException(400, "The body must be a JSON object, not another JSON value")
    return body


def _parse_file(file: IO[bytes]) -> Any:  # noqa: ANN401 - any JSON value
    file.seek(0)
    return parse_json(file.read(), "body")


class _FormParser(MultiPartParser):
    """Starlette's parser with a limit of the size of fields that are not files, in every version."""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Receive a part of the value of a field, or of a file."""
        part = self._current_part
        if part.file is None and len(part.data) + end - start > MAX_FIELD_BYTES:
            raise HTTPException(413, f"A field of the form is larger than {MAX_FIELD_BYTES / 1e6:g} MB; upload a file")
        super().on_part_data(data, start, end)


async def _read_form(request: Request) -> dict[str, Any]:
    parser = _FormParser(request.headers, request.stream(), max_files=MAX_PARTS, max_fields=MAX_PARTS)
    try:
        return dict(await parser.parse())
    except MultiPartException as e:
        raise HTTPException(400, f"The form is not valid multipart data: {e.message}") from e
    except ValueError as e:  # of python-multipart: broken structure, or headers that are too long
        raise HTTPException(400, f"The form is not valid multipart data: {e}") from e


def _limit_waits(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
) -> Callable[[], Awaitable[MutableMapping[str, Any]]]:
    """Return ``receive`` with HTTPException 408 for a body that stops to arrive, or arrives too slowly."""
    begin_s, received = time.monotonic(), 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal received
        try:
            message = await asyncio.wait_for(receive(), IDLE_TIMEOUT_S)
        except asyncio.TimeoutError as e:  # not yet the built-in one on Python 3.10
            raise HTTPException(
                408, f"No data arrived for {IDLE_TIMEOUT_S:g} s; send the request again", {"Connection": "close"}
            ) from e
        received += len(message.get("body", b""))
        passed_s = time.monotonic() - begin_s
        if passed_s > SLOW_AFTER_S and received < MIN_RATE_BYTES_S * passed_s and message.get("more_body"):
            raise HTTPException(
                408, f"The request arrived with less than {MIN_RATE_BYTES_S / 1e3:g} kB/s; send it again",
                {"Connection": "close"},
            )  # fmt: skip
        return message

    return limited
