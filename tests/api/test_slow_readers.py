"""Clients that do not read their response, and requests that state two lengths, over a real connection."""

import contextlib
import socket
import threading
import time

import pytest

pytest.importorskip("uvicorn")
import uvicorn

from sadtalker_ext.api import server
from sadtalker_ext.system.request_guard import AllowedHosts, RequestGuard

LIMIT_S = 0.5
BLOCK, BLOCKS = b"x" * (1 << 16), 256
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def service(monkeypatch):
    """A server with a response of 16 MB, and its address."""
    monkeypatch.setattr(server, "WRITE_TIMEOUT_S", LIMIT_S)

    async def respond(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(BLOCKS):
            await send({"type": "http.response.body", "body": BLOCK, "more_body": number < BLOCKS - 1})

    config = uvicorn.Config(
        RequestGuard(respond, AllowedHosts()), log_level="critical", http=server.BoundedProtocol, ws="none",
        lifespan="off",
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as bound:
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        until_s = time.monotonic() + 20
        while not running.started:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        yield running, bound.getsockname()
        running.should_exit = True
        thread.join(5)


def connections(running):
    return len(running.server_state.connections)


def test_a_client_that_reads_nothing_is_disconnected(service):
    running, address = service
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(REQUEST + b"\r\n")
        until_s = time.monotonic() + 10
        while not connections(running):
            assert time.monotonic() < until_s
        while connections(running):
            assert time.monotonic() < until_s
            time.sleep(0.02)


def test_a_client_that_reads_slowly_gets_the_whole_response(service):
    _, address = service
    received = 0
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(REQUEST + b"Connection: close\r\n\r\n")
        began_s = time.monotonic()
        while block := connection.recv(1 << 19):
            received += len(block)
            if time.monotonic() - began_s < 2 * LIMIT_S:
                time.sleep(0.05)
    assert received > BLOCKS * len(BLOCK)
    assert time.monotonic() - began_s > 2 * LIMIT_S


def test_a_request_with_two_lengths_is_refused_and_its_connection_closed(service):
    """The second request would be a part of the first one's body for a proxy that uses the other length."""
    _, address = service
    body = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + REQUEST + b"\r\n"
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + body)
        received = b""
        with contextlib.suppress(ConnectionError):
            while block := connection.recv(1 << 16):
                received += block
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"not both" in received
    assert received.count(b"HTTP/1.1 ") == 1
