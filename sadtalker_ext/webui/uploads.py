"""Files that visitors of the page upload: the only place where a value of a request becomes a path on this server.

Gradio puts uploads into one folder and lets requests name files by their path. Every event handler and every input
component of the page resolves such a value here. A path is accepted only if it is a regular file inside that folder
after symbolic links are followed; everything else is a MediaError with one sentence that says no more about the file.
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
from typing import Any, Final

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.file_names import display_name

FOLDER_VARIABLE: Final = "GRADIO_TEMP_DIR"
"""The environment variable by which Gradio learns the folder for uploads."""
NOT_UPLOADED: Final = "This file has not been uploaded to this server; choose it again."
NOT_ONE_FILE: Final = "Choose exactly one file."
NOT_BASE64: Final = "The file arrived incomplete; choose it again."
_DATA_URL: Final = re.compile(r"data:([a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+)?(?:;[a-zA-Z0-9-]+=[^;,]{0,80})*;base64,")
_KEPT_IN_NAMES: Final = " ._-,()"
_WINDOWS_DEVICE: Final = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³])[ .]*(\..*)?", re.IGNORECASE
)
_CONTROL_CODES: Final = 32
LONGEST_NAME_BYTES: Final = 200
"""File systems take 255; results are named after the voice and get a few letters more."""


def upload_folder() -> Path:
    """Folder into which Gradio of this process puts uploads."""
    return Path(os.path.abspath(os.environ.get(FOLDER_VARIABLE) or Path(tempfile.gettempdir(), "gradio")))


def received_file(given: Any, folders: Iterable[Path] = ()) -> Path | None:  # noqa: ANN401 - what requests contain
    """The file a request names or contains, as a path inside the upload folder; None where it names none.

    ``given`` has any form in which Gradio 3 and 4 hand files over: a path, a ``data:`` URL, a mapping with
    ``name`` and ``is_file``, with ``data`` or with ``path``, a record or temporary file with an attribute ``path`` or
    ``name``, or a list with one of these. A relative path counts from the upload folder. Files in ``folders`` are
    accepted as well.
    """
    if given is None or given in ("", [], ()):
        return None
    if isinstance(given, list | tuple):
        if len(given) != 1 or isinstance(given[0], list | tuple):
            raise MediaError(NOT_ONE_FILE)
        return received_file(given[0], folders)
    if isinstance(given, Mapping):
        return _of_mapping(given, folders)
    if not isinstance(given, str | os.PathLike):
        given = getattr(given, "path", None) or getattr(given, "name", None)
    if isinstance(given, str) and given[:5].lower() == "data:":
        return _decoded(given, "")
    if isinstance(given, str | os.PathLike):
        return inside(os.fspath(given), (upload_folder(), *folders))
    raise MediaError(NOT_UPLOADED)


def inside(name: Any, folders: Iterable[Path]) -> Path:  # noqa: ANN401 - bytes of os.fspath are refused
    """The regular file of that name in one of the folders, links resolved; a relative name counts from the first."""
    allowed = [Path(os.path.abspath(folder)) for folder in folders]
    if not isinstance(name, str) or not is_plain_path(name):
        raise MediaError(NOT_UPLOADED)
    path = allowed[0] / name
    try:
        real_folders = [folder.resolve() for folder in allowed]
        # Compared before the file system is asked: resolving a network path connects to the machine it names.
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
    """Whether a path has no ``..``, no control characters, and names no network share, stream or device of Windows."""
    if name[:2] in ("//", "\\\\", "/\\", "\\/") or any(ord(letter) < _CONTROL_CODES for letter in name):
        return False
    parts = re.split(r"[/\\]" if windows else "/", name)
    if ".." in (part.strip() for part in parts):
        return False
    if not windows:
        return True
    if re.match(r"[a-zA-Z]:[/\\]", name):
        parts = parts[1:]
    return not any(":" in part or _WINDOWS_DEVICE.fullmatch(part) for part in parts)


def kept_name(path: Path | None) -> str:
    """An uploaded file by its place in the upload folder: what the page sends in place of its contents."""
    return "" if path is None else path.relative_to(upload_folder().resolve()).as_posix()


def check_values(values: Any) -> None:  # noqa: ANN401 - what requests contain
    """Refuse values of a request that name, at any depth, a file which has not been uploaded."""
    rest = [values]
    while rest:
        value = rest.pop()
        if isinstance(value, Mapping):
            for name in filter(None, (value.get("path"), value.get("is_file") and value.get("name"))):
                inside(name, (upload_folder(),))
            rest.extend(value.values())
        elif isinstance(value, list | tuple):
            rest.extend(value)


def _of_mapping(given: Mapping[Any, Any], folders: Iterable[Path]) -> Path:
    if given.get("is_file") or given.get("path"):
        name = given.get("path") or given.get("name")
        if not isinstance(name, str):
            raise MediaError(NOT_UPLOADED)
        return inside(name, (upload_folder(), *folders))
    data, name = given.get("data"), given.get("name")
    if not isinstance(data, str):
        raise MediaError(NOT_UPLOADED)
    return _decoded(data, name if isinstance(name, str) else "")


def _decoded(data_url: str, name: str) -> Path:
    """The contents of a ``data:`` URL, in a file of the upload folder that is named after ``name`` and unaltered."""
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
        folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=folder, prefix="part_")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(part).replace(path)
    return inside(str(path), (upload_folder(),))


def _file_name(name: str, kind: str) -> str:
    """A name for an upload: that of the sender's file without letters that some file system refuses."""
    kept = "".join(letter for letter in display_name(name) if letter.isalnum() or letter in _KEPT_IN_NAMES).strip(" .")
    if not kept or _WINDOWS_DEVICE.fullmatch(kept):
        return "file" + (mimetypes.guess_extension(kind) or "")
    return kept.encode()[:LONGEST_NAME_BYTES].decode(errors="ignore")
