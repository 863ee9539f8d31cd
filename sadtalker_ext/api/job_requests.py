"""Conversion of HTTP requests to job requests; files are uploads, base64 text, paths on the server, or addresses."""

from __future__ import annotations

import base64
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from sadtalker_ext.api.bodies import parse_json, read_fields
from sadtalker_ext.api.options import check_login
from sadtalker_ext.api.remote_files import fetch_url
from sadtalker_ext.api.sender_names import SenderNames
from sadtalker_ext.constants import MAX_CLIP_S, MIN_CLIP_S
from sadtalker_ext.errors import MediaError, SadTalkerError, SettingsError
from sadtalker_ext.pipeline.file_names import display_name
from sadtalker_ext.pipeline.input_formats import check_formats
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.job import JobRequest
from sadtalker_ext.settings import Settings
from sadtalker_ext.system.folder_files import FileTooLargeError, keep_file
from sadtalker_ext.system.portable_names import NETWORK_PATHS
from sadtalker_ext.tts.text_parts import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import Request

    from sadtalker_ext.api.options import ApiOptions

FILES: Final = ("portrait", "voice", "reference")
FIELDS: Final = (*FILES, "text", "idle_s", "reference_use", "settings")
COPY_BYTES: Final = 1 << 20
BASE64_BLOCK: Final = 1 << 20
"""Characters of base64 text that are decoded at once."""
MAX_SHOWN: Final = 40
"""Characters of a wrong value in an error message."""
_TOO_LARGE: Final = (
    "The {name} has {size}, and the server may copy {limit:g} MB from another disk; use a smaller file, or ask its "
    "administrator for a higher --max-upload-mb or a TMPDIR on the same disk"
)
MAX_SUFFIX: Final = 6
"""Longest file name suffix that is kept, with the dot."""


async def read_job_request(request: Request, options: ApiOptions) -> JobRequest:
    """Return the job request in the body of POST /jobs; HTTPException 4xx if the body is not valid."""
    owner = check_login(request, options.logins)
    fields = await read_fields(request, options.upload_bytes)
    scratch = await run_in_threadpool(options.work.new_job)
    try:
        return replace(await run_in_threadpool(_build_job_request, fields, scratch, options), owner=owner)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _build_job_request(fields: Mapping[str, Any], scratch: Path, options: ApiOptions) -> JobRequest:
    for name in fields:
        if name not in FIELDS:
            raise HTTPException(422, f"There is no field {name[:MAX_SHOWN]!r}; use one of {', '.join(FIELDS)}")
    settings = read_settings(fields.get("settings"))
    inputs, names = read_inputs(fields, scratch, options)
    try:
        check_formats(inputs)
    except MediaError as e:
        raise HTTPException(422, e.describe(names)) from e
    stem = inputs.portrait.stem
    output = options.output(stem) if options.output else options.work.new_video()
    if options.output is None:
        names[output] = ""
    sender_names = SenderNames(names)
    return JobRequest(inputs, output, settings, scratch, temporary=options.output is None, names=sender_names)


def read_inputs(fields: Mapping[str, Any], scratch: Path, options: ApiOptions) -> tuple[Inputs, dict[Path, str]]:
    """Return the inputs of the video, and the display name of each file, as the sender knows it.

    An empty field of a form, and null in JSON, count as omitted.
    """
    given = {name: value for name, value in fields.items() if value not in ("", None)}
    use, idle_s = given.get("reference_use", ""), read_duration(given.get("idle_s"))
    if not isinstance(use, str):
        raise HTTPException(422, "The field reference_use must be a string")
    text = read_text(given.get("text"))
    if (text is not None) + ("voice" in given) + (idle_s is not None) != 1:
        raise HTTPException(422, "Give exactly one of voice, text (which is read aloud), and idle_s (for an idle clip)")
    required = ("portrait", *(name for name in FILES[1:] if name in given))
    received = {name: receive_file(name, given.get(name), scratch / name, options) for name in required}
    files = {name: path for name, (path, _) in received.items()}
    names = dict(received.values())
    try:
        inputs = Inputs(
            files["portrait"], files.get("voice"), idle_s, files.get("reference"), reference_use=use, text=text
        )
    except SettingsError as e:
        raise HTTPException(422, e.describe(names)) from e
    return inputs, names


def read_text(given: object) -> str | None:
    """Return the field text, which is read aloud; None if it is omitted."""
    try:
        if given is not None and not isinstance(given, str):
            raise SettingsError("The field text must be a string")
        return None if given is None else clean_text(given)
    except SettingsError as e:
        raise HTTPException(422, str(e)) from e


def read_duration(given: object) -> float | None:
    """Return the field idle_s, a number or its text, in seconds; None if it is omitted."""
    if given is None:
        return None
    try:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise TypeError
        seconds = float(given)
    except (TypeError, ValueError, OverflowError) as e:
        raise HTTPException(422, f"idle_s must be a number of seconds, not {str(given)[:MAX_SHOWN]!r}") from e
    if not MIN_CLIP_S <= seconds <= MAX_CLIP_S:
        raise HTTPException(422, f"idle_s is {seconds:g} s; it must be from {MIN_CLIP_S} to {MAX_CLIP_S:.0f} s")
    return seconds


def read_settings(given: object) -> Settings:
    """Return the settings of a JSON object, or of its text in a form."""
    try:
        if isinstance(given, str):
            given = parse_json(given or "{}", "field settings")
        if given is not None and not isinstance(given, dict):
            raise SettingsError("The settings must be a JSON object")
        return Settings.from_mapping(given or {})
    except SadTalkerError as e:
        raise HTTPException(422, str(e)) from e


def receive_file(name: str, given: object, target: Path, options: ApiOptions) -> tuple[Path, str]:
    """Return the path of the file of one field, and its display name; an upload without a name has an empty one.

    given: an upload, or an object (or its JSON text in a form) with base64, path or url.
    target: where the content is written if the file does not exist on the server.
    """
    if isinstance(given, UploadFile):
        target = target.with_name(_scratch_name(name, given.filename))
        with target.open("wb") as file:
            shutil.copyfileobj(given.file, file, COPY_BYTES)
        return target, display_name(given.filename)
    if isinstance(given, str) and given.lstrip().startswith("{"):
        given = parse_json(given, f"field {name}")
    if not isinstance(given, dict) or len(given) != 1:
        raise HTTPException(
            422, f'The field {name} must be an upload, {{"base64": ...}}, {{"path": ...}} or {{"url": ...}}'
        )
    [(source, value)] = given.items()
    if source not in _READERS or not isinstance(value, str):
        shown = str(source)[:MAX_SHOWN]
        raise HTTPException(422, f"The field {name} must contain a string named base64, path or url, not {shown!r}")
    try:
        if source == "base64" and not value.strip():
            raise MediaError(f"The {name} is empty (0 bytes); send the whole file as base64")
        shown_name = "sent as base64" if source == "base64" else value
        return _READERS[source](name, value, target, options), shown_name
    except MediaError as e:
        raise HTTPException(422, str(e)) from e


def _decode_base64(name: str, text: str, target: Path, options: ApiOptions) -> Path:
    """Decode in blocks, because the text may have tens of megabytes."""
    begin = text.find(",") + 1 if text.startswith("data:") else 0
    padding = text.find("=", begin)
    end, rest = len(text) if padding < 0 else padding, ""
    try:
        with target.open("wb") as file:
            for at in range(begin, end, BASE64_BLOCK):
                block = rest + "".join(text[at : min(at + BASE64_BLOCK, end)].split())
                whole = len(block) // 4 * 4
                file.write(base64.b64decode(block[:whole], validate=True))
                rest = block[whole:]
            file.write(base64.b64decode(rest + "".join(text[end:].split()), validate=True))
    except ValueError as e:  # binascii.Error, or characters outside ASCII
        raise MediaError(f"The {name} is not valid base64 ({e}); encode the file again") from e
    return target


def _find_on_server(name: str, text: str, target: Path, options: ApiOptions) -> Path:
    """Return a hard link or copy, because a path may name another file when the job runs.

    The errors do not reveal whether a file outside the allowed folders exists.
    """
    refused = f"The path of the {name} is not in a folder that this server may read; upload the file instead"
    if text.startswith(NETWORK_PATHS) and not any(Path(text).is_relative_to(folder) for folder in options.folders):
        raise HTTPException(403, refused)
    try:
        path = Path(text).resolve()
        allowed = [folder.resolve() for folder in options.folders]
        folder = next((folder for folder in allowed if path.is_relative_to(folder)), None)
        exists = folder is not None and path.is_file()
    except (OSError, ValueError, RuntimeError) as e:
        raise HTTPException(403, refused) from e
    if folder is None:
        raise HTTPException(403, refused)
    if not exists:
        raise HTTPException(404, f"The {name} does not exist; check its path")
    target.mkdir()
    kept = target / path.name
    try:
        keep_file(path, folder, kept, options.upload_bytes)
    except FileTooLargeError as e:
        raise HTTPException(413, _TOO_LARGE.format(name=name, size=e, limit=options.upload_bytes / 1e6)) from e
    except OSError as e:
        raise HTTPException(404, f"The {name} cannot be opened; check its path and permissions") from e
    return kept


def _download(name: str, text: str, target: Path, options: ApiOptions) -> Path:
    if not options.urls:
        raise HTTPException(403, f"This server does not download files from addresses; upload the {name} instead")
    try:
        fetch_url(text, target, options.upload_bytes)
    except ValueError as e:  # of urllib: brackets that do not match, a port that is not a number from 0 to 65535
        raise MediaError(f"The address {text[:MAX_SHOWN]!r} of the {name} is not valid ({e}); check it") from e
    return target


_READERS: Final[Mapping[str, Callable[[str, str, Path, ApiOptions], Path]]] = {
    "base64": _decode_base64, "path": _find_on_server, "url": _download,
}  # fmt: skip
"""Reads the file of a field from the value of this key."""


def _scratch_name(name: str, filename: str | None) -> str:
    """Return the file name for an upload: the name of the field with the suffix of the sender's file name."""
    suffix = Path(filename or "").suffix.lower()
    return name + (suffix if suffix[1:].isalnum() and len(suffix) <= MAX_SUFFIX else "")
