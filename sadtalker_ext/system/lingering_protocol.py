"""uvicorn's HTTP protocol, with refusals that the client can read while it still sends a large request."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

LINGER_S: Final = 20.0
"""Longest wait for the rest of a request that was answered before it arrived."""


class LingeringTransport:
    """A transport whose :meth:`close` lets the client read the response before the connection ends.

    If a connection is closed while the client sends, the system resets it, and the client may lose the response. Here
    the end of the response is sent at once, and what the client still sends is discarded until it closes the connection
    or the time is over.
    """

    def __init__(self, transport: asyncio.Transport, conn: h11.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._conn, self._loop = transport, conn, loop
        self._timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all other attributes are those of the transport
        return getattr(self._transport, name)

    @property
    def lingers(self) -> bool:
        """Whether received data is to be discarded."""
        return self._timer is not None

    def is_closing(self) -> bool:
        """Return whether :meth:`close` was called or the connection has ended."""
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        """End the response, and the connection once the client has closed it; a second call ends it at once."""
        sending = self._conn.their_state in (h11.SEND_BODY, h11.ERROR)
        if self.is_closing() or not sending or not self._transport.can_write_eof():
            self.cancel()
            self._transport.close()
            return
        self._transport.write_eof()
        self._transport.resume_reading()
        self._timer = self._loop.call_later(LINGER_S, self._transport.abort)

    def cancel(self) -> None:
        """Stop to wait."""
        if self._timer is not None:
            self._timer.cancel()


class LingeringProtocol(H11Protocol):
    """uvicorn's protocol with a :class:`LingeringTransport`; connections that become WebSockets use it as any other."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin a connection."""
        super().connection_made(transport)
        self.transport = LingeringTransport(transport, self.conn, self.loop)  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self.transport.cancel()  # type: ignore[attr-defined]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received data, or discard what follows a request that was answered already."""
        if not self.transport.lingers:  # type: ignore[attr-defined]
            super().data_received(data)
