"""The HTTP server of ``sadtalker serve``: waiting connections are bounded, a busy port is one sentence."""

import json
import socket
import threading
import time
from contextlib import suppress

import pytest

pytest.importorskip("uvicorn")
import uvicorn

from sadtalker_ext.api import bodies, server
from sadtalker_ext.api.app import make_app
from sadtalker_ext.api.options import ApiOptions
from sadtalker_ext.cli.main import main
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.system import lingering_protocol

HEAD = b"POST /sadtalker/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
FORM = b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n--x"
LIMIT_S = 0.4


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(server, "REQUEST_TIMEOUT_S", LIMIT_S)
    monkeypatch.setattr(lingering_protocol, "LINGER_S", LIMIT_S)
    monkeypatch.setattr(bodies, "IDLE_TIMEOUT_S", LIMIT_S)
    started = []
    monkeypatch.setattr(uvicorn.Server, "install_signal_handlers", lambda self: None, raising=False)
    original = uvicorn.Server.run
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: (started.append(self), original(self, sockets)))
    ready, addresses = threading.Event(), []

    def announce(address):
        addresses.append(address)
        ready.set()

    arguments = (make_app(JobQueue(), ApiOptions(logins={"me": "x"})), "127.0.0.1", 0, announce)
    thread = threading.Thread(target=server.run_server, args=arguments)
    thread.start()
    assert ready.wait(30)
    yield int(addresses[0].rstrip("/").rpartition(":")[2])
    started[0].should_exit = True
    thread.join(30)


def answer(port, *parts, pause_s=0.0):
    """Return what the server sends until it closes the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause_s)
        while block := connection.recv(4096):
            received += block
    return received


def test_half_open_connections_are_closed(port):
    login = b"Authorization: Basic bWU6eA==\r\n"
    assert answer(port) == b""
    assert answer(port, HEAD) == b""
    assert b" 401 " in answer(port, HEAD + BODY)
    for body in (BODY, FORM):
        received = answer(port, HEAD + login + body)
        assert b" 408 " in received
        assert b"No data arrived" in received
    health = b"GET /docs HTTP/1.1\r\nHost: 127.0.0.1\r\n" + login + b"\r\n"
    assert b" 200 " in answer(port, health, b"G", pause_s=LIMIT_S / 2)


def test_slow_headers_and_bodies_are_closed(port, monkeypatch):
    """A byte now and then does not keep a connection open."""
    monkeypatch.setattr(bodies, "SLOW_AFTER_S", LIMIT_S)
    for start in (HEAD, HEAD + b"Authorization: Basic bWU6eA==\r\n" + BODY):
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            connection.sendall(start)
            with pytest.raises(OSError):  # noqa: PT011, PT012 - whatever the system reports for a closed connection
                for _ in range(100):
                    time.sleep(LIMIT_S / 4)
                    connection.sendall(b"a")


def test_open_connections_are_limited(port, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(server, "REQUEST_TIMEOUT_S", 30.0)
    kept = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(3)]
    time.sleep(0.2)
    with socket.create_connection(("127.0.0.1", port), 20) as refused, suppress(ConnectionError):
        assert refused.recv(1) == b""
    for connection in kept:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert connection.recv(99).startswith(b"HTTP/1.1 401")
        connection.close()


def test_number_that_is_too_long_is_a_bad_request(port):
    assert answer(port, HEAD + b"Content-Length: " + b"1" * 5000 + b"\r\n\r\n")[:12] in (
        b"HTTP/1.1 400",
        b"HTTP/1.1 413",
    )


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        (b"Content-Length: -5", 400, "not a valid HTTP request"), (b"Content-Length: many", 400, "not a valid HTTP"),
        (b"Content-Length: 8000000\r\nOrigin: https://evil.example", 403, "pages of other sites"),
        (b"Content-Length: 8000000\r\nTransfer-Encoding: chunked", 400, ""),
        (b"Content-Length: 8000000\r\nHost: evil.example", 400, "not a valid HTTP request"),
    ],
)  # fmt: skip
def test_answer_to_a_refused_upload_can_be_read(port, monkeypatch, caplog, headers, code, message):
    """Without a reset of the connection, although the client sends its whole body before it reads."""
    monkeypatch.setattr(server, "REQUEST_TIMEOUT_S", 20.0)
    begin_s = time.monotonic()
    received = answer(port, HEAD + headers + b"\r\n\r\n", b"x" * 8_000_000)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % code)
    assert message in json.loads(body)["detail"]
    assert time.monotonic() - begin_s < 10.0, "the response ends before the time is over"
    assert "Traceback" not in caplog.text


def test_busy_port_is_one_sentence(port, capsys):
    assert main(["serve", "--port", str(port)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "99999"], "port 99999"), (["--max-upload-mb", "-1"], "--max-upload-mb is -1"),
        (["--max-minutes", "nan"], "--max-minutes is nan"), (["--max-waiting", "0"], "--max-waiting is 0"),
        (["--allow-origin", "app.example.org"], "'app.example.org' is not valid"),
        (["--allow-origin", "https://a.example/path"], "'https://a.example/path' is not valid"),
    ],
)  # fmt: skip
def test_invalid_options_are_one_sentence(capsys, flags, message):
    assert main(["serve", "--port", "0", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
