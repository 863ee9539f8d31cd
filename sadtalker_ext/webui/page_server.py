"""An HTTP server for the page, in a thread."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import EngineError
from sadtalker_ext.system.request_guard import EVERY_ADDRESS

if TYPE_CHECKING:
    from sadtalker_ext.system.request_guard import App

CLOSE_TIMEOUT_S: Final = 3.0
"""Longest wait for open connections when the server stops; pages of Gradio 4 keep one open."""
POLL_INTERVAL_S: Final = 0.01
LARGEST_PORT: Final = 65535


class PageServer:
    """Serves an ASGI application until :meth:`close`; the constructor returns once it accepts requests.

    address: URL of the server on this machine.

    Raises EngineError if the server cannot start.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        import uvicorn

        self._socket = bind_socket(host, port)
        self.address = local_url(host, self._socket.getsockname()[1])
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="sadtalker-page", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise EngineError("The web UI could not start; see the messages above")
            time.sleep(POLL_INTERVAL_S)

    def wait(self) -> None:
        """Wait until the server has stopped or the user presses Ctrl-C."""
        with suppress(KeyboardInterrupt):
            while self._thread.is_alive():
                self._thread.join(1.0)

    def close(self) -> None:
        """Stop the server."""
        self._server.should_exit = True
        self._thread.join(CLOSE_TIMEOUT_S)
        self._server.force_exit = True
        self._thread.join(CLOSE_TIMEOUT_S)
        self._socket.close()


def bind_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; EngineError if the address cannot be used."""
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
        raise EngineError(f"The web UI cannot listen on {host}:{port} ({e}); choose another --host or --port") from e
    return bound


def local_url(host: str, port: int) -> str:
    """Return the URL by which a browser on this machine reaches a server that listens on ``host``."""
    name = {"::": "[::1]"}.get(host.strip("[]"), "127.0.0.1") if host.strip("[]") in EVERY_ADDRESS else host
    return f"http://[{name}]:{port}/" if ":" in name and not name.startswith("[") else f"http://{name}:{port}/"
