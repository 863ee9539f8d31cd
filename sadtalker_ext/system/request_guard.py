"""Protection of a local server against requests of other web sites: checks of Host, Origin and Sec-Fetch-Site.

A web page that is open in the user's browser can send requests to servers on the user's machine. The Origin header
names that page, so requests from other pages are rejected. A page can also point its own host name at 127.0.0.1 (DNS
rebinding) and then counts as the same origin; its requests contain that name in the Host header, so unknown names are
rejected. Programs that are not browsers send no Origin and are allowed.

The checks need no web framework: :func:`rejection_reason` takes an ASGI scope, :class:`RequestGuard` is ASGI
middleware.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, replace
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS: Final = ("GET", "HEAD")
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
EVERY_ADDRESS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - for comparison only
TWO_LENGTHS: Final = "The request must have either a Content-Length or a Transfer-Encoding, not both."
DEFAULT_REMEDY: Final = "add the name to the allowed host names of the server"
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(https?)://(.+)")
_POLICY_VIOLATION = 1008


@dataclass(frozen=True)
class AllowedHosts:
    """Host names and origins that a server accepts; ``localhost``, 127.0.0.0/8 and ::1 are always accepted.

    bound: address or name that the server listens on. If it means every address, every IP address is accepted as Host,
        because DNS rebinding needs a name. Names of the machine are not guessed; list them in ``names``.
    names: further host names, such as that of a reverse proxy; ``*.example.org`` is every name below example.org. Pages
        under these names may also send requests if the proxy replaces the Host header.
    origins: further origins, such as ``https://app.example.org``, whose pages may send requests; ``*`` is every origin.
    origin_pattern: a regular expression that matches further origins as a whole.
    any_host: accept every Host; the Origin is still checked.
    remedy: what the operator of the server can do about a rejected host name.
    """

    bound: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    origin_pattern: str = ""
    any_host: bool = False
    remedy: str = DEFAULT_REMEDY

    def allows_host(self, host: str) -> bool:
        """Return whether the server accepts this value of the Host header."""
        parts = split_host(host)
        if parts is None:
            return False
        name = parts[0]
        if self.any_host or is_loopback(name) or name == _normalize(self.bound):
            return True
        if _normalize(self.bound) in EVERY_ADDRESS and _address(name) is not None:
            return True
        return self._is_listed(name)

    def allows_origin(self, origin: str, host: str) -> bool:
        """Return whether a page of ``origin`` may send requests to the server under the name ``host``."""
        origin = origin.strip().lower()
        if {"*", origin} & {allowed.strip().lower().rstrip("/") for allowed in self.origins}:
            return True
        if self.origin_pattern and re.fullmatch(self.origin_pattern, origin):
            return True
        match = _ORIGIN.fullmatch(origin)
        parts, own = split_host(match[2]) if match else None, split_host(host)
        if match is None or parts is None or own is None:
            return False
        default = DEFAULT_PORTS[match[1]]
        same = parts[0] == own[0] and (parts[1] or default) == (own[1] or default)
        return same or ((parts[1] or default) == default and self._is_listed(parts[0]))

    def _is_listed(self, name: str) -> bool:
        for allowed in self.names:
            pattern = _normalize(allowed)
            if name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:])):
                return True
        return False


def split_host(text: str) -> tuple[str, int | None] | None:
    """Return name and port of a Host header, or of an origin without its scheme; None if malformed."""
    match = _HOST.fullmatch(text.strip().lower())
    if match is None:
        return None
    return _normalize(match[1]), int(match[2]) if match[2] else None


def is_loopback(name: str) -> bool:
    """Return whether a host name or address always means this machine."""
    address = _address(_normalize(name))
    return address.is_loopback if address is not None else _normalize(name) == "localhost"


def rejection_reason(scope: Scope, allowed: AllowedHosts) -> str:
    """Return a message why a request or WebSocket is rejected; empty if it is allowed.

    A missing Origin is accepted, unless the browser states that another site sent a request that may change something.
    An Origin that differs from Host is accepted if the browser states that both are the same, as behind a proxy that
    replaces Host; pages cannot set that header (Sec-Fetch-Site, W3C Fetch Metadata).
    """
    hosts = _values(scope, b"host")
    if len(hosts) != 1:
        return "The request must have exactly one Host header."
    host = hosts[0]
    if not allowed.allows_host(host):
        name = f"the host name {host!r}" if split_host(host) else "this host name"
        return f"This server does not accept {name}: use localhost or its IP address, or {allowed.remedy}."
    origins = _values(scope, b"origin")
    sent_by = {value.strip().lower() for value in _values(scope, b"sec-fetch-site")}
    if sent_by != {"same-origin"} and any(not allowed.allows_origin(origin, host) for origin in origins):
        return "This server does not accept requests from pages of other sites."
    safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS
    if not origins and not safe and sent_by & {"cross-site", "same-site"}:
        return "This server does not accept requests from pages of other sites."
    return ""


class RequestGuard:
    """ASGI middleware that answers 403 or closes the WebSocket if :func:`rejection_reason` gives a reason."""

    def __init__(self, app: App, allowed: AllowedHosts) -> None:
        self._app, self._allowed = app, allowed

    def allow_host(self, name: str) -> None:
        """Accept a further host name from now on; see ``names`` of :class:`AllowedHosts`."""
        self._allowed = replace(self._allowed, names=(*self._allowed.names, name))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, WebSocket or lifespan."""
        reason = rejection_reason(scope, self._allowed) if scope["type"] in ("http", "websocket") else ""
        if reason:
            await reject(scope, send, 403, reason)
        elif scope["type"] == "http" and has_two_lengths(scope):
            await reject(scope, send, 400, TWO_LENGTHS)
        else:
            await self._app(scope, receive, send)


def has_two_lengths(scope: Scope) -> bool:
    """Return whether a request states its length in two ways.

    A proxy in front of the server may use the other one, and would then take a part of the body for a further request,
    for example of another client (RFC 9112, 6.1). :func:`reject` closes the connection.
    """
    return bool(_values(scope, b"content-length")) and bool(_values(scope, b"transfer-encoding"))


async def reject(scope: Scope, send: Send, status: int, reason: str) -> None:
    """Answer a request with a status and a message; a WebSocket is closed before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": reason})
        return
    body = json.dumps({"detail": reason}).encode()
    headers = [
        (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"), (b"connection", b"close"),
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _values(scope: Scope, name: bytes) -> list[str]:
    pairs: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1") for key, value in pairs if key.lower() == name]


def _normalize(name: str) -> str:
    """Return a host name or address in lower case, without brackets and without a trailing dot."""
    name = name.strip().lower()
    if name.startswith("[") and name.endswith("]"):
        return name[1:-1]
    return name if name == "." or name.endswith("..") else name.removesuffix(".")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
