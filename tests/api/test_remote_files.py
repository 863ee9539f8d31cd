"""Addresses in requests: only public hosts are contacted, and the size is limited."""

import http.server
import socket
import threading
import time

import pytest

from sadtalker_ext.api import remote_files
from sadtalker_ext.errors import MediaError


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x", "http://localhost/x", "http://[::1]/x", "http://10.0.0.1/x", "http://192.168.1.1/x",
        "http://169.254.169.254/latest/meta-data", "http://0.0.0.0/x", "http://[::ffff:127.0.0.1]/x",
        "http://2130706433/x", "http://0x7f.1/x", "http://[fe80::1]/x", "http://224.0.0.1/x", "http://100.64.0.1/x",
        "http://[::127.0.0.1]/x", "http://[64:ff9b::7f00:1]/x", "http://[2002:7f00:1::]/x", "http://[fec0::1]/x",
        "http://192.0.0.8/x", "http://[::1/x", "http://8.8.8.8:99999/x", "http://017700000001/x", "http://127.1./x",
        "http://[::1%25lo]/x", "http://[64:ff9b:1::a00:1]/x", "http://[2001:0:7f00:1::]/x", "http://169.254.43518/x",
        "http://1.1.1.1@127.0.0.1/x", "http://1.1.1.1\\@127.0.0.1/x", "http://127\u30020\u30020\u30021/x",
        "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/x", "http://\uff4c\uff4fcalhost/x", "http://127.0.0.1%00/x",
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


@pytest.mark.parametrize(
    "address",
    [
        "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b:1::1",
        "2001::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "4000::1", "100::1", "::", "::1",
        "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff0e::1", "0.1.2.3", "10.255.255.255",
        "100.127.255.255", "127.9.9.9", "169.254.169.254", "172.31.255.255", "192.0.0.8", "192.0.0.170", "192.0.2.1",
        "192.88.99.1", "192.168.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "239.1.1.1", "250.0.0.1",
        "255.255.255.255",
    ],
)  # fmt: skip
def test_special_addresses_are_not_public(address):
    assert not remote_files.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
        "198.20.0.0", "223.255.255.255", "2001:200::1", "2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450::1",
    ],
)  # fmt: skip
def test_other_addresses_are_public(address):
    assert remote_files.is_public(address)


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    answers = [(0, 0, 0, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(MediaError, match="public internet"):
        remote_files.public_address("rebinding.example", 80)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_public_addresses_of_this_machine_are_refused(monkeypatch, address):
    """Loopback addresses stand for public ones, which the test machine may not have."""
    if address == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6")
    monkeypatch.setattr(remote_files, "is_public", lambda _: True)
    with pytest.raises(MediaError, match="public internet"):
        remote_files.public_address(address, 80)
    assert not remote_files.is_own_address("93.184.216.34", 80)


def test_messages_do_not_reveal_which_names_exist(monkeypatch):
    """A client could otherwise list the names of a private network."""
    messages = []
    for answer in ([(0, 0, 0, "", ("10.0.0.7", 80))], OSError("unknown")):

        def resolve(*_, _answer=answer, **__):
            if isinstance(_answer, OSError):
                raise _answer
            return _answer

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(MediaError) as caught:
            remote_files.public_address("printer.internal", 80)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


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
        elif self.path.startswith("/drip"):
            self.drip(headers=self.path == "/drip-headers")
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "9000")
            self.end_headers()
            self.wfile.write(b"x" * 100)
        elif self.path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 5000)

    def drip(self, *, headers):
        """Send the body, or headers and body, a byte every 50 ms, for eight seconds at most."""
        start = b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n"
        pieces = [bytes([byte]) for byte in start] if headers else [start]
        for piece in (*pieces, *[b"x"] * 100):
            try:
                self.wfile.write(piece)
            except OSError:
                return
            time.sleep(0.05)

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
    [
        ("file", "larger than"),
        ("missing", "returned 404"),
        ("loop", "too often"),
        ("private", "public internet"),
        ("short", "8,900 bytes before the end"),
    ],
)
def test_download_is_refused(site, tmp_path, path, message):
    with pytest.raises(MediaError, match=message):
        remote_files.fetch_url(f"{site}/{path}", tmp_path / "x", 4999)


@pytest.mark.parametrize("path", ["drip-body", "drip-headers"])
def test_an_address_that_sends_slowly_does_not_outlive_the_time_limit(site, tmp_path, monkeypatch, path):
    monkeypatch.setattr(remote_files, "DOWNLOAD_TIMEOUT_S", 0.5)
    start_s = time.monotonic()
    with pytest.raises(MediaError, match="took longer"):
        remote_files.fetch_url(f"{site}/{path}", tmp_path / "x", 5000)
    assert time.monotonic() - start_s < 3.0


def test_a_tls_handshake_does_not_outlive_the_time_limit(monkeypatch, tmp_path):
    monkeypatch.setattr(remote_files, "DOWNLOAD_TIMEOUT_S", 0.5)
    monkeypatch.setattr(remote_files, "public_address", lambda *_: "127.0.0.1")
    start_s = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(MediaError, match="took longer"):
        remote_files.fetch_url(f"https://silent:{server.getsockname()[1]}/x", tmp_path / "x", 5000)
    assert time.monotonic() - start_s < 3.0
