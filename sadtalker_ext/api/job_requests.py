"""From a request to an order: files by upload, as base64, as a path of the server, or from an address."""

from __future__ import annotations

import base64
import binascii
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from sadtalker_ext.api.remote_files import fetch_url
from sadtalker_ext.errors import MediaError, SadTalkerError, SettingsError
from sadtalker_ext.pipeline.file_names import display_name
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.job import JobRequest
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.image_formats import refuse_documents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

    from sadtalker_ext.api.options import ApiOptions

PREFIX = "sadtalker_job_"
FILES = ("portrait", "voice", "reference")
FIELDS = (*FILES, "idle_s", "reference_use", "settings")
COPY_BYTES = 1 << 20


async def read_order(request: Request, doors: ApiOptions) -> JobRequest:
    """The order of a POST /jobs; 4xx with one sentence where it cannot be understood."""
    check_size(request, doors.upload_bytes)
    fields = await read_fields(request)
    scratch = Path(await run_in_threadpool(tempfile.mkdtemp, prefix=PREFIX))
    try:
        return await run_in_threadpool(_order, fields, scratch, doors)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def check_size(request: Request, most_bytes: int) -> None:
    """Refuse a body that is too large, or does not say its size, before reading it."""
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise HTTPException(411, "Say the size of the request in a Content-Length header")
    if int(length) > most_bytes:
        raise HTTPException(413, f"The request is larger than the {most_bytes / 1e6:.0f} MB allowed here")


async def read_fields(request: Request) -> dict[str, Any]:
    """The fields of a form, with its files, or of a JSON object."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return dict(await request.form())
    if kind != "application/json":
        raise HTTPException(415, "Send multipart/form-data with files, or application/json")
    try:
        body = json.loads(await request.body())
    except ValueError as e:
        raise HTTPException(400, f"The body is not JSON: {e}") from e
    if not isinstance(body, dict):
        raise HTTPException(400, f"The body must be a JSON object with some of {', '.join(FIELDS)}")
    return body


def _order(fields: Mapping[str, Any], scratch: Path, doors: ApiOptions) -> JobRequest:
    for name in fields:
        if name not in FIELDS:
            raise HTTPException(422, f"There is no field {name[:40]!r}; there are {', '.join(FIELDS)}")
    settings = read_settings(fields.get("settings"))
    inputs, names = read_inputs(fields, scratch, doors)
    try:
        refuse_documents(inputs.portrait)
    except MediaError as e:
        raise HTTPException(422, e.describe(names)) from e
    stem = inputs.portrait.stem
    output = doors.output(stem) if doors.output else Path(tempfile.gettempdir(), f"{PREFIX}{uuid4().hex}.mp4")
    if doors.output is None:
        names[output] = "the video"
    return JobRequest(inputs, output, settings, scratch, temporary=doors.output is None, names=names)


def read_inputs(fields: Mapping[str, Any], scratch: Path, doors: ApiOptions) -> tuple[Inputs, dict[Path, str]]:
    """Portrait, voice or seconds without one, and the reference, and what the sender calls these files.

    An empty field of a form is one that was left out.
    """
    given = {name: value for name, value in fields.items() if value not in ("", None)}
    use, idle_s = given.get("reference_use", ""), read_seconds(given.get("idle_s"))
    if not isinstance(use, str):
        raise HTTPException(422, "reference_use must be a text")
    if "voice" in given and idle_s is not None:
        raise HTTPException(422, "An idle clip has no voice: leave out voice or idle_s")
    if "voice" not in given and idle_s is None:
        raise HTTPException(422, "Nothing says how long the video is: give voice, or idle_s for a silent one")
    wanted = ("portrait", *(name for name in FILES[1:] if name in given))
    taken = {name: take_file(name, given.get(name), scratch / name, doors) for name in wanted}
    files = {name: path for name, (path, _) in taken.items()}
    try:
        return Inputs(idle_s=idle_s, reference_use=use, **files), dict(taken.values())
    except SettingsError as e:
        raise HTTPException(422, str(e)) from e


def read_seconds(given: object) -> float | None:
    """A length in seconds from a number, or from its text in a form."""
    if given is None:
        return None
    try:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise TypeError
        seconds = float(given)
    except (TypeError, ValueError) as e:
        raise HTTPException(422, f"idle_s must be a number of seconds, not {str(given)[:40]!r}") from e
    from sadtalker_ext.audio.speech import LONGEST_S, SHORTEST_S

    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise HTTPException(422, f"idle_s must be from {SHORTEST_S} to {LONGEST_S:.0f} s, not {seconds:g}")
    return seconds


def read_settings(given: object) -> Settings:
    """Settings from a JSON object, or from its text in a form."""
    try:
        if isinstance(given, str):
            return Settings.from_json(given or "{}")
        if given is not None and not isinstance(given, dict):
            raise SettingsError("The settings must be a JSON object")
        return Settings.from_mapping(given or {})
    except SadTalkerError as e:
        raise HTTPException(422, str(e)) from e


def take_file(name: str, given: object, target: Path, doors: ApiOptions) -> tuple[Path, str]:
    """The file of one field, and what its sender calls it.

    It comes as an upload, or as an object (or its JSON text in a form) with base64, path or url.
    """
    if isinstance(given, UploadFile):
        target = target.with_name(_kept_name(name, given.filename))
        with target.open("wb") as file:
            shutil.copyfileobj(given.file, file, COPY_BYTES)
        own = display_name(given.filename)
        return target, f"the {name} {own}" if own else f"the uploaded {name}"
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            given = json.loads(given)
        except ValueError as e:
            raise HTTPException(400, f"The field {name} is not JSON: {e}") from e
    if not isinstance(given, dict) or len(given) != 1:
        raise HTTPException(422, f'Give {name} as an upload, {{"base64": ...}}, {{"path": ...}} or {{"url": ...}}')
    [(way, value)] = given.items()
    if way not in _WAYS or not isinstance(value, str):
        raise HTTPException(422, f"A {name} comes by base64, path or url (as text), not by {str(way)[:40]!r}")
    try:
        called = f"the {name} sent as base64" if way == "base64" else f"the {name} {value}"
        return _WAYS[way](name, value, target, doors), called
    except MediaError as e:
        raise HTTPException(422, str(e)) from e


def _from_base64(name: str, text: str, target: Path, doors: ApiOptions) -> Path:
    data = text.partition(",")[2] if text.startswith("data:") else text
    try:
        target.write_bytes(base64.b64decode("".join(data.split()), validate=True))
    except binascii.Error as e:
        raise MediaError(f"The {name} is not base64: {e}") from e
    return target


def _from_path(name: str, text: str, target: Path, doors: ApiOptions) -> Path:
    """A file of the server; whether one exists outside the allowed folders is not told."""
    refusal = f"The path of the {name} lies in no folder that this service may read"
    try:
        path = Path(text).resolve()
        allowed = [folder.resolve() for folder in doors.folders]
        inside = path.is_absolute() and any(path.is_relative_to(folder) for folder in allowed)
        there = inside and path.is_file()
    except (OSError, ValueError, RuntimeError) as e:
        raise HTTPException(403, refusal) from e
    if not inside:
        raise HTTPException(403, refusal)
    if not there:
        raise HTTPException(404, f"The file of the {name} is not there")
    return path


def _from_url(name: str, text: str, target: Path, doors: ApiOptions) -> Path:
    if not doors.urls:
        raise HTTPException(403, f"Addresses are not fetched here; upload the {name} instead")
    fetch_url(text, target, doors.upload_bytes)
    return target


_WAYS = {"base64": _from_base64, "path": _from_path, "url": _from_url}


def _kept_name(name: str, filename: str | None) -> str:
    """Our name with the ending that the sender's file had; nothing else of it is used for a file."""
    ending = Path(filename or "").suffix.lower()
    return name + (ending if ending[1:].isalnum() and len(ending) <= 6 else "")
