"""Uploaded files: the only module that converts a value of a request into a path on this server.

Gradio saves uploads in one folder and lets requests name files by their path. Every event handler and every input
component of the page resolves such a value here. A path is accepted only if it is a regular file inside that folder
after symbolic links are resolved; everything else is a MediaError that does not say whether the file exists.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import mimetypes
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.file_names import display_name
from sadtalker_ext.system.portable_names import NETWORK_PATHS, WINDOWS_DEVICE

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.inputs import Inputs

FOLDER_VARIABLE: Final = "GRADIO_TEMP_DIR"
"""Environment variable from which Gradio reads the upload folder."""
NOT_UPLOADED: Final = "This file has not been uploaded to this server; choose it again."
NOT_ONE_FILE: Final = "Choose exactly one file."
NOT_BASE64: Final = "The file arrived incomplete; choose it again."
NOT_SAVED: Final = (
    "The server cannot save the file ({reason}). Free some space on its disk, then choose the file again."
)
_DATA_URL: Final = re.compile(r"data:([a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+)?(?:;[a-zA-Z0-9-]+=[^;,]{0,80})*;base64,")
_SAFE_IN_NAMES: Final = " ._-,()"
_FIRST_PRINTABLE: Final = 32
LONGEST_NAME_BYTES: Final = 200
"""File systems allow 255; results are named after the voice and their names are a little longer."""
LONGEST_SUFFIX_BYTES: Final = 12
_UNNAMED: Final = "file"
"""Stem of a file that was uploaded without a name."""
_GENERATED: Final = re.compile(r"^(tmp|audio|image|blob|[0-9a-f]{16,})", re.IGNORECASE)
"""Start of stems that browsers and Gradio generate for recordings and pasted pictures."""


def upload_folder() -> Path:
    """Return the folder in which this process's Gradio saves uploads."""
    return Path(os.path.abspath(os.environ.get(FOLDER_VARIABLE) or Path(tempfile.gettempdir(), "gradio")))


def received_file(given: Any, folders: Iterable[Path] = ()) -> Path | None:  # noqa: ANN401 - a value of a request
    """Return the file that a request names or contains, as a path inside the upload folder; None if it names none.

    given: a file in any form that Gradio 3 and 4 use: a path, a ``data:`` URL, a mapping with ``name`` and ``is_file``,
        with ``data`` or with ``path``, a record or temporary file with an attribute ``path`` or ``name``, or a list
        with one of these. A relative path is relative to the upload folder.
    folders: further folders whose files are accepted.

    Raises MediaError for everything else.
    """
    if given is None or given in ("", [], ()):
        return None
    if isinstance(given, list | tuple):
        if len(given) != 1 or isinstance(given[0], list | tuple):
            raise MediaError(NOT_ONE_FILE)
        return received_file(given[0], folders)
    if isinstance(given, Mapping):
        return _file_of_mapping(given, folders)
    if not isinstance(given, str | os.PathLike):
        given = getattr(given, "path", None) or getattr(given, "name", None)
    if isinstance(given, str) and given[:5].lower() == "data:":
        return _decode_data_url(given, "")
    if isinstance(given, str | os.PathLike):
        return resolve_inside(os.fspath(given), (upload_folder(), *folders))
    raise MediaError(NOT_UPLOADED)


def resolve_inside(name: Any, folders: Iterable[Path]) -> Path:  # noqa: ANN401 - bytes of os.fspath are refused
    """Return the regular file ``name`` in one of the folders, symbolic links resolved; MediaError if there is none.

    A relative name is relative to the first folder.
    """
    allowed = [Path(os.path.abspath(folder)) for folder in folders]
    if not isinstance(name, str) or not is_plain_path(name):
        raise MediaError(NOT_UPLOADED)
    path = allowed[0] / name
    try:
        real_folders = [folder.resolve() for folder in allowed]
        # Checked before the file system is accessed: resolving a network path connects to the machine it names.
        if not any(path.is_relative_to(folder) for folder in (*allowed, *real_folders)):
            raise MediaError(NOT_UPLOADED)
        real = path.resolve(strict=True)
        accepted = real.is_file() and any(real.is_relative_to(folder) for folder in real_folders)
    except (OSError, ValueError, RuntimeError) as e:
        raise MediaError(NOT_UPLOADED) from e
    if not accepted:
        raise MediaError(NOT_UPLOADED)
    return real


def is_plain_path(name: str, windows: bool = os.name == "nt") -> bool:
    """Whether a path has no ``..`` and no control characters, and is no network share, stream or device of Windows."""
    if name.startswith(NETWORK_PATHS) or any(ord(letter) < _FIRST_PRINTABLE for letter in name):
        return False
    parts = re.split(r"[/\\]" if windows else "/", name)
    if ".." in (part.strip() for part in parts):
        return False
    if not windows:
        return True
    if re.match(r"[a-zA-Z]:[/\\]", name):
        parts = parts[1:]
    return not any(":" in part or WINDOWS_DEVICE.fullmatch(part) for part in parts)


def relative_name(path: Path | None) -> str:
    """Return the path of an uploaded file relative to the upload folder, sent by the page instead of its content."""
    return "" if path is None else path.relative_to(upload_folder().resolve()).as_posix()


def upload_name(path: Path) -> str:
    """Return the user's name of an uploaded file; empty if the name was generated."""
    return "" if has_generated_name(path) or path.stem == _UNNAMED else path.name


def has_generated_name(path: Path) -> bool:
    """Whether a browser or Gradio generated the name of the file, as for a recording."""
    return bool(_GENERATED.match(path.stem))


def display_names(inputs: Inputs) -> dict[Path, str]:
    """Return the display names of the uploaded inputs for messages, which must not contain paths of the server."""
    return {path: upload_name(path) for path in inputs.files}


def check_values(values: Any) -> None:  # noqa: ANN401 - values of a request
    """Raise MediaError if a value of a request names, at any depth, a file that has not been uploaded."""
    pending = [values]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            for name in filter(None, (value.get("path"), value.get("is_file") and value.get("name"))):
                resolve_inside(name, (upload_folder(),))
            pending.extend(value.values())
        elif isinstance(value, list | tuple):
            pending.extend(value)


def _file_of_mapping(given: Mapping[Any, Any], folders: Iterable[Path]) -> Path:
    if given.get("is_file") or given.get("path"):
        name = given.get("path") or given.get("name")
        if not isinstance(name, str):
            raise MediaError(NOT_UPLOADED)
        return resolve_inside(name, (upload_folder(), *folders))
    data, name = given.get("data"), given.get("name")
    if not isinstance(data, str):
        raise MediaError(NOT_UPLOADED)
    return _decode_data_url(data, name if isinstance(name, str) else "")


def _decode_data_url(data_url: str, name: str) -> Path:
    """Save the content of a ``data:`` URL unaltered in the upload folder, named after ``name``; return the path."""
    head = _DATA_URL.match(data_url[:500])
    if head is None:
        raise MediaError(NOT_BASE64)
    try:
        content = base64.b64decode(data_url[head.end() :], validate=True)
    except (binascii.Error, ValueError) as e:
        raise MediaError(NOT_BASE64) from e
    folder = upload_folder() / hashlib.sha256(content).hexdigest()[:40]
    path = folder / _file_name(name, head[1] or "")
    if not path.is_file():
        try:
            _write(path, content)
        except OSError as e:
            raise MediaError(NOT_SAVED.format(reason=e.strerror or e)) from e
    return resolve_inside(str(path), (upload_folder(),))


def _write(path: Path, content: bytes) -> None:
    """Write a file, which gets its name when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix="part_")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(part).replace(path)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise


def _file_name(name: str, kind: str) -> str:
    """Return a name for an upload: the client's file name without characters that some file systems refuse."""
    safe = "".join(letter for letter in display_name(name) if letter.isalnum() or letter in _SAFE_IN_NAMES).strip(" .")
    if not safe or WINDOWS_DEVICE.fullmatch(safe):
        return _UNNAMED + (mimetypes.guess_extension(kind) or "")
    stem, suffix = os.path.splitext(safe)
    suffix = suffix if len(suffix.encode()) <= LONGEST_SUFFIX_BYTES else ""
    return stem.encode()[: LONGEST_NAME_BYTES - len(suffix.encode())].decode(errors="ignore") + suffix
