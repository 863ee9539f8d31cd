"""An HTTP server for the page, in a thread."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import EngineError
from sadtalker_ext.system.listen_socket import bind_socket, local_url

if TYPE_CHECKING:
    from sadtalker_ext.system.request_guard import App

CLOSE_TIMEOUT_S: Final = 3.0
"""Longest wait for open connections when the server stops; pages of Gradio 4 keep one open."""
POLL_INTERVAL_S: Final = 0.01


class PageServer:
    """Serves an ASGI application until :meth:`close`; the constructor returns once it accepts requests.

    address: URL of the server on this machine. port: number of its port.

    Raises EngineError if the server cannot start.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        import uvicorn

        from sadtalker_ext.system.lingering_protocol import LingeringProtocol

        self._socket = bind_socket(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.address = local_url(host, self.port)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", http=LingeringProtocol))
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
