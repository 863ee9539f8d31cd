"""An HTTP server in a thread for the page."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from sadtalker_ext.errors import EngineError
from sadtalker_ext.system.request_guard import EVERY_ADDRESS

if TYPE_CHECKING:
    from sadtalker_ext.system.request_guard import App

END_S = 3.0
"""Longest wait for open connections when the server ends; pages of Gradio 4 keep one open."""
LOOK_S = 0.01
LARGEST_PORT = 65535


class PageServer:
    """Serves an ASGI application from when it is made until :meth:`close`; ``address`` is its URL on this machine."""

    def __init__(self, app: App, host: str, port: int) -> None:
        import uvicorn

        self._socket = listen(host, port)
        self.address = address_of(host, self._socket.getsockname()[1])
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="sadtalker-page", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise EngineError("The page could not be started; the lines above say why.")
            time.sleep(LOOK_S)

    def wait(self) -> None:
        """Return when the server has ended, or at Ctrl-C."""
        with suppress(KeyboardInterrupt):
            while self._thread.is_alive():
                self._thread.join(1.0)

    def close(self) -> None:
        """End the server."""
        self._server.should_exit = True
        self._thread.join(END_S)
        self._server.force_exit = True
        self._thread.join(END_S)
        self._socket.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to an address; an EngineError says what is wrong with it."""
    if not 0 <= port <= LARGEST_PORT:
        raise EngineError(f"The port {port} does not exist; choose another --port, from 1 to {LARGEST_PORT}")
    try:
        found = socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        made = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
        except BaseException:
            made.close()
            raise
    except (OSError, OverflowError, UnicodeError) as e:
        raise EngineError(f"The page cannot listen on {host}:{port} ({e}); choose another --host or --port") from e
    return made


def address_of(host: str, port: int) -> str:
    """The URL under which a browser on this machine reaches a server that listens on ``host``."""
    name = {"::": "[::1]"}.get(host.strip("[]"), "127.0.0.1") if host.strip("[]") in EVERY_ADDRESS else host
    return f"http://[{name}]:{port}/" if ":" in name and not name.startswith("[") else f"http://{name}:{port}/"
