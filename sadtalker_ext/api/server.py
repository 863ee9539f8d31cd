"""The HTTP server of ``sadtalker serve``, with a bounded number of connections and bounded waits for requests."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import h11
import uvicorn

from sadtalker_ext.errors import EngineError
from sadtalker_ext.system.lingering_protocol import LingeringProtocol
from sadtalker_ext.system.listen_socket import bind_socket, local_url

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_TIMEOUT_S: Final = 20.0
"""Longest wait for the line and headers of a request, from the connection or the end of the previous response."""
BAD_REQUEST: Final = "This is not a valid HTTP request; check its headers, such as Content-Length"
MAX_CONNECTIONS: Final = 256
"""Open connections; further ones are closed at once, so that they do not use up the file descriptors."""
CLOSE_TIMEOUT_S: Final = 3
"""Longest wait for open connections when the server stops."""
WRITE_TIMEOUT_S: Final = 60.0
"""Longest wait for a client that reads so little of a response that no more of it can be sent."""
BACKLOG: Final = 128


class BoundedProtocol(LingeringProtocol):
    """uvicorn's protocol, which also closes connections that send no complete request or do not read the response."""

    _watch: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Start to wait for the first request."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        if self._watch is not None:
            self._watch.cancel()
        self._stop_unread()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start to wait for the client to read."""
        super().pause_writing()
        self._stop_unread()
        self._unread = self.loop.call_later(WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop to wait."""
        super().resume_writing()
        self._stop_unread()

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def data_received(self, data: bytes) -> None:
        """Parse received data; a number that h11 cannot convert is answered like any other broken request."""
        try:
            super().data_received(data)
        except ValueError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response(BAD_REQUEST)

    def send_400_response(self, msg: str) -> None:
        """Answer a broken request with a message like those of the routes, and close the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the handler of the request does not answer it as well
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"detail": BAD_REQUEST}).encode()
            headers = [
                ("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close"),
            ]  # fmt: skip
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait_for_request()

    def _wait_for_request(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self.loop.call_later(REQUEST_TIMEOUT_S, self._close_without_request)

    def _close_without_request(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


def run_server(app: Any, host: str, port: int, announce: Callable[[str], None]) -> None:  # noqa: ANN401 - ASGI app
    """Answer requests until the process is stopped; call ``announce`` with the URL once the address is in use.

    Raises EngineError if the address cannot be used.
    """
    bound = bind_socket(host, port, "REST API")
    try:
        bound.listen(BACKLOG)
    except OSError as e:  # another process has bound the port as well, and listens
        bound.close()
        raise EngineError(f"The REST API cannot listen on {host}:{port} ({e}); choose another --host or --port") from e
    announce(local_url(host, bound.getsockname()[1]))
    config = uvicorn.Config(
        app, log_level="warning", http=BoundedProtocol, ws="none", timeout_graceful_shutdown=CLOSE_TIMEOUT_S
    )
    uvicorn.Server(config).run(sockets=[bound])
