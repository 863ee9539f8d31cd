"""Download of files from untrusted addresses: from public hosts only, with limits of size and time."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from sadtalker_ext.errors import MediaError

SOCKET_TIMEOUT_S: Final = 20.0
"""Longest wait for a connection or for the next bytes."""
DOWNLOAD_TIMEOUT_S: Final = 120.0
"""Longest duration of a whole download."""
MAX_REDIRECTS: Final = 4
BLOCK_BYTES: Final = 1 << 16
MAX_SHOWN_URL: Final = 200
"""Characters of an address in an error message."""


def fetch_url(url: str, target: Path, max_bytes: int) -> None:
    """Download ``url`` to the file ``target``; MediaError if that is not allowed or fails."""
    try:
        _fetch(url, target, max_bytes)
    except (OSError, HTTPException, UnicodeError) as e:
        reason = getattr(e, "strerror", None) or e
        raise MediaError(f"The address {_shorten(url)} could not be fetched ({reason}); upload the file instead") from e


def public_address(host: str, port: int) -> str:
    """Return an IP address of ``host``; MediaError if any of its addresses is not on the public internet."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as e:
        raise MediaError(f"The host {host!r} is unknown ({e.strerror or e}); check the address") from e
    for text in found:
        address = ipaddress.ip_address(text.split("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        if not (mapped or address).is_global or address.is_multicast:
            raise MediaError(f"The host {host!r} is not on the public internet; upload the file instead")
    return min(found, key=lambda text: (":" in text, text))


def _fetch(url: str, target: Path, max_bytes: int) -> None:
    for _ in range(MAX_REDIRECTS + 1):
        parts = urlsplit(url)
        connection = _connect(parts)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"User-Agent": "sadtalker", "Accept-Encoding": "identity"})
            response = connection.getresponse()
            if response.status in (301, 302, 303, 307, 308):
                url = urljoin(url, response.headers.get("Location", ""))
                continue
            if response.status != 200:
                raise MediaError(
                    f"The address {_shorten(url)} returned {response.status} {response.reason}; check the address"
                )
            return _save(response, target, max_bytes)
        finally:
            connection.close()
    raise MediaError(f"The address {_shorten(url)} redirects too often; upload the file instead")


def _connect(parts: SplitResult) -> HTTPConnection:
    """Connect to the very IP address that was checked, so that the name cannot resolve to another one in between."""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MediaError("The address does not start with http:// or https://; check it")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = public_address(parts.hostname, port)
    plain = socket.create_connection((address, port), SOCKET_TIMEOUT_S)
    connection: HTTPConnection
    if parts.scheme == "https":
        connection = HTTPSConnection(parts.hostname, port, timeout=SOCKET_TIMEOUT_S)
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
    else:
        connection = HTTPConnection(parts.hostname, port, timeout=SOCKET_TIMEOUT_S)
        connection.sock = plain
    return connection


def _save(response: HTTPResponse, target: Path, max_bytes: int) -> None:
    done, until_s = 0, time.monotonic() + DOWNLOAD_TIMEOUT_S
    with target.open("wb") as file:
        while block := response.read(BLOCK_BYTES):
            done += len(block)
            if done > max_bytes:
                raise MediaError(f"The file is larger than the allowed {max_bytes / 1e6:.0f} MB; use a smaller file")
            if time.monotonic() > until_s:
                raise MediaError(f"The download took longer than {DOWNLOAD_TIMEOUT_S:.0f} s; upload the file instead")
            file.write(block)


def _shorten(url: str) -> str:
    return url[:MAX_SHOWN_URL]
