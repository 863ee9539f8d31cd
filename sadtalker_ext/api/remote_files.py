"""Fetching a file from an address that a stranger wrote: only public machines, only so many bytes, only so long."""

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

TIMEOUT_S: Final = 20.0
WHOLE_S: Final = 120.0
REDIRECTS: Final = 4
BLOCK_BYTES: Final = 1 << 16


def fetch_url(url: str, target: Path, most_bytes: int) -> None:
    """Write what lies at ``url`` to ``target``; MediaError in one sentence when it may not or cannot be had."""
    try:
        _fetch(url, target, most_bytes)
    except (OSError, HTTPException, UnicodeError) as e:
        raise MediaError(f"The address {url[:200]} could not be fetched ({e}); upload the file instead") from e


def public_address(host: str, port: int) -> str:
    """An IP address of ``host``; MediaError if any of its addresses is not on the public internet."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as e:
        raise MediaError(f"The machine {host!r} is unknown ({e.strerror or e}); check the address") from e
    for text in found:
        address = ipaddress.ip_address(text.split("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        if not (mapped or address).is_global or address.is_multicast:
            raise MediaError(f"The machine {host!r} is not on the public internet; upload the file instead")
    return min(found, key=lambda text: (":" in text, text))


def _fetch(url: str, target: Path, most_bytes: int) -> None:
    for _ in range(REDIRECTS + 1):
        parts = urlsplit(url)
        connection = _connect(parts)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"User-Agent": "sadtalker", "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            if answer.status in (301, 302, 303, 307, 308):
                url = urljoin(url, answer.headers.get("Location", ""))
                continue
            if answer.status != 200:
                raise MediaError(f"The address {url[:200]} answers {answer.status} {answer.reason}; check it")
            return _save(answer, target, most_bytes)
        finally:
            connection.close()
    raise MediaError(f"The address {url[:200]} leads in circles; upload the file instead")


def _connect(parts: SplitResult) -> HTTPConnection:
    """A connection to the very address that was judged, so that a name cannot change its meaning in between."""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MediaError("An address must begin with http:// or https://")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = public_address(parts.hostname, port)
    plain = socket.create_connection((address, port), TIMEOUT_S)
    connection: HTTPConnection
    if parts.scheme == "https":
        connection = HTTPSConnection(parts.hostname, port, timeout=TIMEOUT_S)
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
    else:
        connection = HTTPConnection(parts.hostname, port, timeout=TIMEOUT_S)
        connection.sock = plain
    return connection


def _save(answer: HTTPResponse, target: Path, most_bytes: int) -> None:
    done, until_s = 0, time.monotonic() + WHOLE_S
    with target.open("wb") as file:
        while block := answer.read(BLOCK_BYTES):
            done += len(block)
            if done > most_bytes:
                raise MediaError(f"The file is larger than the {most_bytes / 1e6:.0f} MB allowed here")
            if time.monotonic() > until_s:
                raise MediaError(f"The file did not come within {WHOLE_S:.0f} s; upload it instead")
            file.write(block)
