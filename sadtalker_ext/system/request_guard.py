"""Which requests a server of this package answers: checks of the headers Host, Origin and Sec-Fetch-Site.

A web page that is open in the user's browser can send requests to servers on the user's machine. The Origin header
names that page, so requests from other pages are refused. A page can also point its own host name at 127.0.0.1 (DNS
rebinding) and then counts as the same origin; its requests carry that name in the Host header, so unknown names are
refused. Programs that are not browsers send no Origin and are answered.

The checks need no web framework: :func:`refusal` takes an ASGI scope, :class:`RequestGuard` is ASGI middleware.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

READING: Final = ("GET", "HEAD")
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
EVERY_ADDRESS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
ALLOW_HOST: Final = "start the server with --allow-host"
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(https?)://(.+)")
_POLICY_VIOLATION = 1008


@dataclass(frozen=True)
class AllowedHosts:
    """The hosts a server answers for; ``localhost``, 127.0.0.0/8 and ::1 always belong to them.

    bound: the address or name the server listens on. One that means every address allows every IP address as Host:
    DNS rebinding needs a name. Names of the machine are not guessed; they are listed in ``names``.
    names: further host names, such as that of a reverse proxy; ``*.example.org`` is every name below example.org.
    Pages under these names may also send requests when the proxy replaces the Host header.
    origins: further origins, such as ``https://app.example.org``, whose pages may send requests; ``*`` is every one.
    origin_pattern: a regular expression that matches further origins as a whole.
    any_host: whether every Host is answered; the Origin is still checked.
    remedy: what the person who runs the server can do about a refused host name.
    """

    bound: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    origin_pattern: str = ""
    any_host: bool = False
    remedy: str = ALLOW_HOST

    def allows_host(self, host: str) -> bool:
        """Whether the server answers for this value of the Host header."""
        parts = split_host(host)
        if parts is None:
            return False
        name = parts[0]
        if self.any_host or is_loopback(name) or name == _bare(self.bound):
            return True
        if _bare(self.bound) in EVERY_ADDRESS and _address(name) is not None:
            return True
        return self._named(name)

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether a page of this origin may send requests to the server, which it calls ``host``."""
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
        return same or ((parts[1] or default) == default and self._named(parts[0]))

    def _named(self, name: str) -> bool:
        for allowed in self.names:
            pattern = _bare(allowed)
            if name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:])):
                return True
        return False


def split_host(text: str) -> tuple[str, int | None] | None:
    """Name and port of a Host header or of an origin without its scheme; None where it is malformed."""
    match = _HOST.fullmatch(text.strip().lower())
    if match is None:
        return None
    return _bare(match[1]), int(match[2]) if match[2] else None


def is_loopback(name: str) -> bool:
    """Whether a host name or address always means this machine."""
    address = _address(_bare(name))
    return address.is_loopback if address is not None else _bare(name) == "localhost"


def refusal(scope: Scope, allowed: AllowedHosts) -> str:
    """Why a request or WebSocket is not answered, a sentence; empty where it is.

    A missing Origin is accepted, unless the browser says that another site sent a request that changes something.
    """
    hosts = _values(scope, b"host")
    if len(hosts) != 1:
        return "The request must have exactly one Host header."
    host = hosts[0]
    if not allowed.allows_host(host):
        name = f"the host name {host!r}" if split_host(host) else "this host name"
        return f"This server does not answer for {name}: use localhost or its IP address, or {allowed.remedy}."
    origins = _values(scope, b"origin")
    if any(not allowed.allows_origin(origin, host) for origin in origins):
        return "This server does not answer requests that pages of other sites send."
    reads = scope["type"] == "http" and scope["method"] in READING
    sent_by = {value.strip().lower() for value in _values(scope, b"sec-fetch-site")}
    if not origins and not reads and sent_by & {"cross-site", "same-site"}:
        return "This server does not answer requests that pages of other sites send."
    return ""


class RequestGuard:
    """ASGI middleware that answers 403 with a sentence, or closes a WebSocket, where :func:`refusal` says so."""

    def __init__(self, app: App, allowed: AllowedHosts) -> None:
        self._app, self._allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, WebSocket or lifespan."""
        reason = refusal(scope, self._allowed) if scope["type"] in ("http", "websocket") else ""
        if reason:
            await refuse(scope, send, 403, reason)
        else:
            await self._app(scope, receive, send)


async def refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    """Answer a request with a status and a sentence; a WebSocket is closed before it opens."""
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


def _bare(name: str) -> str:
    """A host name or address in lower case, without brackets, port-free, and without the dot of the root domain."""
    name = name.strip().lower()
    if name.startswith("[") and name.endswith("]"):
        return name[1:-1]
    return name.removesuffix(".") if name != "." else name


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
