"""Options of the REST API: limits, folders and logins."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException

from sadtalker_ext.system.request_guard import AllowedHosts, rejection_reason
from sadtalker_ext.system.work_folder import WorkFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class ApiOptions:
    """What the REST API accepts and where it stores results.

    folders: requests may name files of the server in these folders. urls: whether files are downloaded from addresses.
    upload_bytes: maximum size of a request. output: returns the path of a new video for the stem of its portrait, or
    None to store videos in temporary files.
    logins: passwords by user name; empty disables the login. checkpoints: folders searched for checkpoints.
    allowed: host names and origins that are answered. work: folder for uploads and temporary videos.
    """

    folders: tuple[Path, ...] = ()
    urls: bool = False
    upload_bytes: int = 200 * MEGABYTE
    output: Callable[[str], Path] | None = None
    logins: dict[str, str] = field(default_factory=dict)
    checkpoints: tuple[Path, ...] = ()
    allowed: AllowedHosts = field(default_factory=AllowedHosts)
    work: WorkFolder = field(default_factory=WorkFolder)


def read_logins(text: str) -> dict[str, str]:
    """Return the passwords by user name of a text like ``name:password,name:password``."""
    pairs = (part.partition(":") for part in text.split(",") if part.strip())
    return {name.strip(): password.strip() for name, colon, password in pairs if colon and name.strip()}


def check_sender(request: Request, allowed: AllowedHosts) -> None:
    """Raise 403 for a request sent by a page of another site, or for a host name that is not this server's."""
    reason = rejection_reason(request.scope, allowed)
    if reason:
        raise HTTPException(403, reason)


def check_login(request: Request, logins: dict[str, str]) -> str:
    """Return the user name of a request, empty if there are no logins.

    401 for a request without a known user name and password (HTTP basic authentication).
    """
    if not logins:
        return ""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(token, validate=True).decode("utf-8", "surrogateescape").partition(":")
    except ValueError:  # not base64, or not even ASCII
        name, password = "", ""
    expected = logins.get(name, "")
    same = secrets.compare_digest(_as_bytes(password), _as_bytes(expected))
    if scheme.lower() != "basic" or not expected or not same:
        raise HTTPException(401, "A user name and a password are required", headers={"WWW-Authenticate": "Basic"})
    return name


def _as_bytes(password: str) -> bytes:
    """Return the bytes that were sent, or given on the command line, in whatever encoding."""
    return password.encode("utf-8", "surrogateescape")
