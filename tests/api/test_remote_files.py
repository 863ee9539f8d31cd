"""Addresses in requests: public machines only, whatever they are called, and only so many bytes."""

import http.server
import socket
import threading

import pytest

from sadtalker_ext.api import remote_files as remote
from sadtalker_ext.errors import MediaError


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x", "http://localhost/x", "http://[::1]/x", "http://10.0.0.1/x", "http://192.168.1.1/x",
        "http://169.254.169.254/latest/meta-data", "http://0.0.0.0/x", "http://[::ffff:127.0.0.1]/x",
        "http://2130706433/x", "http://0x7f.1/x", "http://[fe80::1]/x", "http://224.0.0.1/x", "http://100.64.0.1/x",
    ],
)  # fmt: skip
def test_private_machines_are_never_asked(url, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("a connection was opened"))
    with pytest.raises(MediaError):
        remote.fetch_url(url, tmp_path / "x", 1000)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/x", "x", "", "http://"])
def test_only_web_addresses(url, tmp_path):
    with pytest.raises(MediaError, match="http"):
        remote.fetch_url(url, tmp_path / "x", 1000)


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    answers = [(0, 0, 0, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(MediaError, match="public internet"):
        remote.public_address("rebinding.example", 80)


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/circle":
            self.send_response(302)
            self.send_header("Location", "/circle")
            self.end_headers()
        elif self.path == "/inward":
            self.send_response(302)
            self.send_header("Location", "http://10.0.0.1/secret")
            self.end_headers()
        elif self.path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 5000)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch):
    """A web site that passes for public: its judged address is replaced by that of a server of this test."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    judge = remote.public_address
    monkeypatch.setattr(remote, "public_address", lambda *where: "127.0.0.1" if where[0] == "site" else judge(*where))
    yield f"http://site:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_fetches_what_is_there(site, tmp_path):
    remote.fetch_url(f"{site}/file", tmp_path / "x", 5000)
    assert (tmp_path / "x").stat().st_size == 5000


@pytest.mark.parametrize(
    ("path", "words"),
    [("file", "larger than"), ("missing", "answers 404"), ("circle", "circles"), ("inward", "public internet")],
)
def test_refuses_what_it_should(site, tmp_path, path, words):
    with pytest.raises(MediaError, match=words):
        remote.fetch_url(f"{site}/{path}", tmp_path / "x", 4999)
