"""Bytes sent to the HTTP server of ``sadtalker serve``, and values of the Host and Origin headers."""

import contextlib
import socket
import threading
import time

import pytest
from fuzz_cases import LIMIT_S, check_message, property_of, time_limit
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="fastapi is not installed")

from sadtalker_ext.api.app import make_app
from sadtalker_ext.api.options import ApiOptions
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.system.request_guard import AllowedHosts, rejection_reason


@pytest.fixture(scope="module")
def address(place):
    """The address of ``sadtalker serve`` in a thread, with its own HTTP protocol."""
    import uvicorn

    from sadtalker_ext.api.server import BoundedProtocol

    app = make_app(JobQueue(), ApiOptions())
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", http=BoundedProtocol, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        until_s = time.monotonic() + LIMIT_S
        while not server.started:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        yield bound.getsockname()
        server.should_exit = True
        thread.join(5)


lines = st.one_of(
    st.sampled_from(
        [
            b"GET / HTTP/1.1",
            b"GET /sadtalker/v1/health HTTP/1.1",
            b"POST /sadtalker/v1/jobs HTTP/1.1",
            b"GET",
            b"",
            b"PRI * HTTP/2.0",
            b"GET / HTTP/9.9",
            b"GET http://x/ HTTP/1.1",
            b"CONNECT a:1 HTTP/1.1",
            b"\x16\x03\x01",
        ]
    ),
    st.binary(max_size=40),
)
raw_headers = st.tuples(
    st.sampled_from([b"Host", b"Content-Length", b"Transfer-Encoding", b"", b" ", b"Upgrade"]),
    st.sampled_from(
        [
            b"127.0.0.1",
            b"0",
            b"5",
            b"-1",
            b"\xc2\xb2",
            b"9" * 5000,
            b"chunked",
            b"chunked, chunked",
            b"h2c",
            b"",
            b"\0",
            b"a: b",
        ]
    ),
)


@property_of(4, line=lines, headers=st.lists(raw_headers, max_size=4), body=st.binary(max_size=40))
def test_raw_connections(address, line, headers, body):
    """The server answers, or closes the connection; afterwards it answers a valid request."""
    sent = line + b"\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in headers) + b"\r\n" + body
    with time_limit():
        with socket.create_connection(address, timeout=5) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").read()
            assert b" 500 " not in answer.partition(b"\r\n")[0]
            assert b"Traceback" not in answer
        with socket.create_connection(address, timeout=5) as connection:
            connection.sendall(b"GET /sadtalker/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200 ")


hosts = st.one_of(
    st.sampled_from(
        [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "evil.example",
            "127.0.0.1.evil.example",
            "[::ffff:1.2.3.4]",
            "0x7f.1",
            "2130706433",
            "localhost.",
            "LOCALHOST",
            "127.1",
            "[",
            "",
            "a@localhost",
            "localhost:",
            "localhost:99999999",
        ]
    ),
    st.text(max_size=20),
    st.ip_addresses().map(str),
)


@property_of(
    3,
    host=hosts,
    origin=st.none() | hosts.map(lambda name: f"http://{name}") | st.text(max_size=20),
    port=st.sampled_from(["", ":7870", ":0", ":x"]),
)
def test_hosts_and_origins(host, origin, port):
    """Only names of this machine are accepted, and only pages of the same name."""
    pairs = [(b"host", (host + port).encode("utf-8", "replace"))]
    pairs += [] if origin is None else [(b"origin", origin.encode("utf-8", "replace"))]
    reason = rejection_reason({"type": "http", "method": "POST", "headers": pairs}, AllowedHosts())
    if not reason:
        name = host.strip().lower().strip("[]").rstrip(".")
        assert name in ("localhost", "::1") or name.startswith("127.")
        assert origin is None or origin.strip().lower().startswith(f"http://{host.strip().lower().rstrip('.')}")
    else:
        check_message(reason)
