"""Addresses in requests: only public hosts are contacted, and the size is limited."""

import http.server
import socket
import threading

import pytest

from sadtalker_ext.api import remote_files
from sadtalker_ext.errors import MediaError


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x", "http://localhost/x", "http://[::1]/x", "http://10.0.0.1/x", "http://192.168.1.1/x",
        "http://169.254.169.254/latest/meta-data", "http://0.0.0.0/x", "http://[::ffff:127.0.0.1]/x",
        "http://2130706433/x", "http://0x7f.1/x", "http://[fe80::1]/x", "http://224.0.0.1/x", "http://100.64.0.1/x",
    ],
)  # fmt: skip
def test_private_hosts_are_never_contacted(url, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("a connection was opened"))
    with pytest.raises(MediaError):
        remote_files.fetch_url(url, tmp_path / "x", 1000)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/x", "x", "", "http://"])
def test_only_http_addresses_are_accepted(url, tmp_path):
    with pytest.raises(MediaError, match="http"):
        remote_files.fetch_url(url, tmp_path / "x", 1000)


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    answers = [(0, 0, 0, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(MediaError, match="public internet"):
        remote_files.public_address("rebinding.example", 80)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        elif self.path == "/private":
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
    """A server on this machine that the address check accepts as public under the name site."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    check = remote_files.public_address

    def accept_site(host, port):
        return "127.0.0.1" if host == "site" else check(host, port)

    monkeypatch.setattr(remote_files, "public_address", accept_site)
    yield f"http://site:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_file_is_downloaded(site, tmp_path):
    remote_files.fetch_url(f"{site}/file", tmp_path / "x", 5000)
    assert (tmp_path / "x").stat().st_size == 5000


@pytest.mark.parametrize(
    ("path", "message"),
    [("file", "larger than"), ("missing", "returned 404"), ("loop", "too often"), ("private", "public internet")],
)
def test_download_is_refused(site, tmp_path, path, message):
    with pytest.raises(MediaError, match=message):
        remote_files.fetch_url(f"{site}/{path}", tmp_path / "x", 4999)
