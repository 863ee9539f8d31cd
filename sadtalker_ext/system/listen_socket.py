"""Sockets on which a server of this package listens."""

from __future__ import annotations

import os
import socket
from typing import Final

from sadtalker_ext.errors import EngineError
from sadtalker_ext.system.request_guard import EVERY_ADDRESS

LARGEST_PORT: Final = 65535


def bind_socket(host: str, port: int, server: str = "web UI") -> socket.socket:
    """Return a socket bound to an address; EngineError if the address cannot be used.

    server: name of the server in the error message.
    """
    if not 0 <= port <= LARGEST_PORT:
        raise EngineError(f"The port {port} does not exist; choose another --port, from 1 to {LARGEST_PORT}")
    try:
        found = socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        bound = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    except (OSError, OverflowError, UnicodeError) as e:
        raise EngineError(f"The {server} cannot listen on {host}:{port} ({e}); choose another --host or --port") from e
    return bound


def local_url(host: str, port: int) -> str:
    """Return the URL by which a browser on this machine reaches a server that listens on ``host``."""
    name = {"::": "[::1]"}.get(host.strip("[]"), "127.0.0.1") if host.strip("[]") in EVERY_ADDRESS else host
    return f"http://[{name}]:{port}/" if ":" in name and not name.startswith("[") else f"http://{name}:{port}/"
