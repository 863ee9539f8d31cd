"""What a service lets in and where it puts things: limits, folders, passwords."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import HTTPException

from sadtalker_ext.system.request_guard import AllowedHosts, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class ApiOptions:
    """folders: server paths in requests must lie in one of these. urls: whether addresses are fetched.

    upload_bytes: most bytes of one request. output: gives the path of a new video, or None for a temporary one.
    logins: names and passwords; empty lets everyone in. checkpoints: folders searched for checkpoints.
    allowed: the host names and origins that are answered.
    """

    folders: tuple[Path, ...] = ()
    urls: bool = False
    upload_bytes: int = 200 * MEGABYTE
    output: Callable[[str], Path] | None = None
    logins: dict[str, str] = field(default_factory=dict)
    checkpoints: tuple[Path, ...] = ()
    allowed: AllowedHosts = field(default_factory=AllowedHosts)


def read_logins(text: str) -> dict[str, str]:
    """Names and passwords of ``name:password,name:password``."""
    pairs = (part.partition(":") for part in text.split(",") if part.strip())
    return {name.strip(): password.strip() for name, colon, password in pairs if colon and name.strip()}


def check_sender(request: Request, allowed: AllowedHosts) -> None:
    """Refuse a request that a page of another site sent, or one for a name that is not this server's."""
    reason = refusal(request.scope, allowed)
    if reason:
        raise HTTPException(403, reason)


def check_login(request: Request, logins: dict[str, str]) -> None:
    """Refuse a request without a name and password that are known (HTTP basic authentication)."""
    if not logins:
        return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name, password = "", ""
    known = logins.get(name, "")
    if scheme.lower() != "basic" or not known or not secrets.compare_digest(password.encode(), known.encode()):
        raise HTTPException(401, "A name and a password are needed", headers={"WWW-Authenticate": "Basic"})
