"""Download of files from untrusted addresses: from public hosts only, with limits of size and time."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from sadtalker_ext.errors import MediaError

SOCKET_TIMEOUT_S: Final = 20.0
"""Longest wait for a connection or for the next bytes."""
DOWNLOAD_TIMEOUT_S: Final = 120.0
"""Longest duration of a whole download, with all its redirects."""
MAX_REDIRECTS: Final = 4
BLOCK_BYTES: Final = 1 << 16
MAX_SHOWN_URL: Final = 200
"""Characters of an address in an error message."""
PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
"""The only addresses that are assigned to hosts of the public IPv6 internet (IANA IPv6 address space registry)."""
SPECIAL_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
"""IANA IPv4 special-purpose address registry, multicast and reserved addresses.

The networks are listed here because ``ipaddress.is_global`` differs between versions of Python.
"""
SPECIAL_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
"""IANA IPv6 special-purpose address registry within :data:`PUBLIC_V6`; 2001::/23 and 2002::/16 contain tunnels whose
addresses hold an IPv4 address of any kind."""


def fetch_url(url: str, target: Path, max_bytes: int) -> None:
    """Download ``url`` to the file ``target``; MediaError if that is not allowed or fails."""
    deadline = _Deadline(DOWNLOAD_TIMEOUT_S)
    try:
        with deadline:
            _fetch(url, target, max_bytes, deadline)
    except (OSError, HTTPException, ValueError) as e:
        deadline.check()
        reason = getattr(e, "strerror", None) or e
        raise MediaError(f"The address {_shorten(url)} could not be fetched ({reason}); upload the file instead") from e


def public_address(host: str, port: int) -> str:
    """Return an IP address of ``host``; MediaError if any of its addresses is not that of another public host.

    The message does not reveal which names exist in a private network.
    """
    refusal = f"The host {host!r} is unknown or not on the public internet; check the address, or upload the file"
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as e:
        raise MediaError(refusal) from e
    if not found or not all(map(is_public, found)) or any(is_own_address(address, port) for address in found):
        raise MediaError(refusal)
    return min(found, key=lambda text: (":" in text, text))


def is_own_address(address: str, port: int) -> bool:
    """Return whether an IP address belongs to this machine, which may be a public one.

    Its services would take a request for one of this machine, which no firewall sees. No packet is sent: the system
    chooses the source address, which is the same only for own addresses.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, port))
        except OSError:  # there is no route
            return False
        return str(probe.getsockname()[0]) == address


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to a host of the public internet.

    IPv6 addresses that contain an IPv4 address (mapped, compatible, translated by NAT64, 6to4, Teredo) are not public:
    a router would deliver to that IPv4 address.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in SPECIAL_V4)
    return parsed in PUBLIC_V6 and not any(parsed in network for network in SPECIAL_V6)


class _Deadline:
    """The time limit of one download; a context manager that shuts its connection down when the time is over.

    A time limit of the socket only limits the wait for the next bytes, so a host that sends a byte now and then could
    keep a download going without end: while connecting with TLS, in the headers, and in the body.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @contextmanager
    def limit(self, connection: socket.socket) -> Iterator[None]:
        """Within the block, shut ``connection`` down when the time is over, also after TLS took its socket over."""
        with connection.dup() as handle:
            with self._lock:
                self._handle = handle
            self.check()
            try:
                yield
            finally:
                with self._lock:
                    self._handle = None

    def check(self) -> None:
        """Raise MediaError if the time is over."""
        if self._over.is_set():
            raise MediaError(f"The download took longer than {self._seconds:.0f} s; upload the file instead")

    def _shut_down(self) -> None:
        self._over.set()
        with self._lock, suppress(OSError):  # the connection may be closed already
            if self._handle is not None:
                self._handle.shutdown(socket.SHUT_RDWR)


def _fetch(url: str, target: Path, max_bytes: int, deadline: _Deadline) -> None:
    for _ in range(MAX_REDIRECTS + 1):
        parts = urlsplit(url)
        plain = _connect(parts)
        with plain, deadline.limit(plain):
            connection = _start_http(parts, plain)
            try:
                response = _request(connection, parts)
                if response.status in (301, 302, 303, 307, 308):
                    url = urljoin(url, response.headers.get("Location", ""))
                    deadline.check()
                    continue
                if response.status != 200:
                    raise MediaError(
                        f"The address {_shorten(url)} returned {response.status} {response.reason}; check the address"
                    )
                return _save(response, target, max_bytes, deadline)
            finally:
                connection.close()
    raise MediaError(f"The address {_shorten(url)} redirects too often; upload the file instead")


def _connect(parts: SplitResult) -> socket.socket:
    """Connect to the very IP address that was checked, so that the name cannot resolve to another one in between."""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MediaError("The address does not start with http:// or https://; check it")
    port = _port(parts)
    return socket.create_connection((public_address(parts.hostname, port), port), SOCKET_TIMEOUT_S)


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _start_http(parts: SplitResult, plain: socket.socket) -> HTTPConnection:
    """Return an HTTP connection over the connected socket, with TLS for https."""
    host, port = parts.hostname or "", _port(parts)
    if parts.scheme == "http":
        connection = HTTPConnection(host, port, timeout=SOCKET_TIMEOUT_S)
        connection.sock = plain
        return connection
    connection = HTTPSConnection(host, port, timeout=SOCKET_TIMEOUT_S)
    connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    return connection


def _request(connection: HTTPConnection, parts: SplitResult) -> HTTPResponse:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", path, headers={"User-Agent": "sadtalker", "Accept-Encoding": "identity"})
    return connection.getresponse()


def _save(response: HTTPResponse, target: Path, max_bytes: int, deadline: _Deadline) -> None:
    done = 0
    with target.open("wb") as file:
        while block := response.read1(BLOCK_BYTES):
            done += len(block)
            if done > max_bytes:
                raise MediaError(f"The file is larger than the allowed {max_bytes / 1e6:.0f} MB; use a smaller file")
            file.write(block)
            deadline.check()
    deadline.check()
    if response.length:  # read1 reports the end of the connection like the end of the file
        raise MediaError(f"The download ended {response.length:,} bytes before the end of the file; try again")


def _shorten(url: str) -> str:
    return url[:MAX_SHOWN_URL]
