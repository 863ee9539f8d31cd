"""Requests from other pages and for other hosts are rejected; those of the own page and of programs are accepted."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from sadtalker_ext.system.request_guard import AllowedHosts, RequestGuard, is_loopback, rejection_reason

LOCAL = AllowedHosts()
EVERYWHERE = AllowedHosts(bound="0.0.0.0")
PROXIED = AllowedHosts(names=("page.example.org", "*.tunnel.example"), origins=("https://app.example.org:8443",))


def scope(host="127.0.0.1:7860", origin=None, method="POST", kind="http", **more):
    headers = [(b"host", host.encode("latin-1"))]
    if origin is not None:
        headers.append((b"origin", origin.encode("latin-1")))
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    made = {"type": kind, "path": "/run/predict", "headers": headers}
    return made | ({"method": method} if kind == "http" else {})


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:7860", "127.0.0.1", "localhost", "LOCALHOST:7860", "localhost.:7860", "[::1]:7860", "127.8.9.10:80"],
)
def test_names_of_this_machine_are_accepted(host):
    assert rejection_reason(scope(host), LOCAL) == ""


HOSTILE = (
    "evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example.",
    "user@127.0.0.1", "127.0.0.1:7860@evil.example", "127.1", "0x7f000001", "2130706433", "", ":", "[::1", "::1",
    "127.0.0.1:port", "127.0.0.1:123456", "127.0.0.1 evil.example", "127.0.0.1,evil.example", "localhost\t.evil",
    "xn--lcalhost-54a", "192.168.1.5", "8.8.8.8", "[fe80::1]", "0.0.0.0", "mybox", "local\xadhost", "*",
    "localhost..", "[::1%25lo]", "[::ffff:127.0.0.1]", "localhost/..", "017700000001",
)  # fmt: skip


@pytest.mark.parametrize("host", HOSTILE)
def test_other_names_are_rejected(host):
    reason = rejection_reason(scope(host), LOCAL)
    assert reason.endswith(".")
    assert "allowed host names" in reason


def test_request_must_have_one_host():
    for headers in ([], [(b"host", b"localhost"), (b"Host", b"evil.example")]):
        assert "exactly one Host" in rejection_reason({"type": "http", "method": "GET", "headers": headers}, LOCAL)


def test_server_on_every_address_accepts_addresses_only():
    for host in ("192.168.1.5:7860", "[2001:db8::1]:7860", "10.0.0.1", "localhost"):
        assert rejection_reason(scope(host, f"http://{host}"), EVERYWHERE) == ""
    assert rejection_reason(scope("mybox:7860"), EVERYWHERE)
    assert rejection_reason(scope("evil.example"), EVERYWHERE)
    assert rejection_reason(scope("192.168.1.5:7860", "http://192.168.1.6:7860"), EVERYWHERE)


@pytest.mark.parametrize(
    ("bound", "host"), [("192.168.1.5", "192.168.1.5:7860"), ("MyBox.lan", "mybox.lan"), ("::1", "[::1]:7860")]
)
def test_bound_address_is_accepted(bound, host):
    assert rejection_reason(scope(host), AllowedHosts(bound=bound)) == ""
    assert rejection_reason(scope("localhost"), AllowedHosts(bound=bound)) == ""
    assert rejection_reason(scope("evil.example"), AllowedHosts(bound=bound))


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "https://evil.example", "null", "NULL", "", "http://localhost:3000", "http://127.0.0.1",
        "http://127.0.0.1:7860.evil.example", "http://evil.example:7860", "http://127.0.0.1:7860@evil.example",
        "file://", "chrome-extension://abcdef", "http://127.0.0.1:7861", "http://localhost:7860", "https://127.0.0.1",
        "http://127.0.0.1:7860/", "http://127.0.0.1:7860 http://evil.example", "//127.0.0.1:7860", "127.0.0.1:7860",
    ],
)  # fmt: skip
def test_pages_of_other_origins_are_rejected(kind, origin):
    assert "other sites" in rejection_reason(scope(origin=origin, kind=kind), LOCAL)


def test_two_origins_must_both_be_allowed():
    request = scope(origin="http://127.0.0.1:7860")
    assert rejection_reason(request, LOCAL) == ""
    request["headers"].append((b"Origin", b"http://evil.example"))
    assert rejection_reason(request, LOCAL)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_every_method_is_checked(method):
    assert rejection_reason(scope(origin="http://evil.example", method=method), LOCAL)
    assert rejection_reason(scope(origin="null", method=method), LOCAL)
    assert rejection_reason(scope(method=method), LOCAL) == ""


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:7860", "http://127.0.0.1:7860"), ("localhost:7860", "http://localhost:7860"),
        ("[::1]:7860", "http://[::1]:7860"), ("localhost", "http://localhost"), ("localhost", "http://localhost:80"),
        ("localhost:80", "http://localhost"), ("localhost", "https://localhost"), ("LocalHost:7860", "http://localhost:7860"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_own_page_is_accepted(host, origin, kind):
    assert rejection_reason(scope(host, origin, kind=kind), LOCAL) == ""


def test_name_of_a_proxy_counts_for_host_and_origin():
    for host in ("page.example.org", "page.example.org:443", "a.tunnel.example", "127.0.0.1:7860"):
        assert rejection_reason(scope(host, "https://page.example.org"), PROXIED) == ""
    assert rejection_reason(scope("localhost:7860", "https://app.example.org:8443"), PROXIED) == ""
    for host, origin in (
        ("tunnel.example", None), ("eviltunnel.example", None), ("127.0.0.1:7860", "https://page.example.org:81"),
        ("page.example.org", "https://evil.example"), ("127.0.0.1:7860", "https://app.example.org"),
        ("app.example.org", None),
    ):  # fmt: skip
        assert rejection_reason(scope(host, origin), PROXIED)


def test_sec_fetch_site_is_checked_without_an_origin():
    for site in ("cross-site", "same-site", "Cross-Site"):
        assert rejection_reason(scope(sec_fetch_site=site), LOCAL)
        assert rejection_reason(scope(sec_fetch_site=site, method="GET"), LOCAL) == ""
    for site in ("same-origin", "none"):
        assert rejection_reason(scope(sec_fetch_site=site), LOCAL) == ""


def test_server_for_every_host_still_checks_the_origin():
    allowed = AllowedHosts(any_host=True)
    assert rejection_reason(scope("anything.example", "http://anything.example"), allowed) == ""
    assert rejection_reason(scope("anything.example", "http://evil.example"), allowed)


def test_origins_by_pattern_and_every_origin():
    pattern = AllowedHosts(origin_pattern=r"https://[a-z]+\.example\.org")
    assert rejection_reason(scope(origin="https://app.example.org"), pattern) == ""
    assert rejection_reason(scope(origin="https://app.example.org.evil.example"), pattern)
    assert rejection_reason(scope(origin="http://evil.example"), AllowedHosts(origins=("*",))) == ""


def test_loopback():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "::1", "[::1]", "127.3.2.1", "LOCALHOST")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "localhost.example", "")))


def called(request):
    """Return the requests that reached the application and the messages sent to the client."""
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    async def send(message):
        sent.append(message)

    with ThreadPoolExecutor() as pool:  # this thread may have a running loop of the browser's driver
        pool.submit(asyncio.run, RequestGuard(app, LOCAL)(request, None, send)).result()
    return seen, sent


def test_rejected_request_gets_a_message_and_does_not_reach_the_application():
    seen, (start, body) = called(scope("evil.example"))
    assert (seen, start["status"]) == ([], 403)
    headers = dict(start["headers"])
    assert headers[b"content-length"] == str(len(body["body"])).encode()
    assert not any(name.startswith(b"access-control") for name in headers)
    assert "'evil.example'" in json.loads(body["body"])["detail"]
    _, (_, body) = called(scope("evil.example", method="HEAD"))
    assert body["body"] == b""


def test_rejected_websocket_is_closed_before_it_opens():
    seen, sent = called(scope(origin="http://evil.example", kind="websocket"))
    assert (seen, sent[0]["type"], sent[0]["code"]) == ([], "websocket.close", 1008)


def test_allowed_requests_reach_the_application():
    assert called(scope()) == (["http"], [])
    assert called({"type": "lifespan"}) == (["lifespan"], [])


def test_an_origin_that_the_browser_calls_the_same_is_accepted_behind_a_proxy():
    """A proxy replaced Host; Host itself is still checked, and only the exact value counts."""
    origin, host = (b"origin", b"https://app.example"), (b"host", b"127.0.0.1:7870")
    for site, allowed in ((b"same-origin", True), (b"same-site", False), (b"cross-site", False), (b"none", False)):
        scope = {"type": "http", "method": "POST", "headers": [host, origin, (b"sec-fetch-site", site)]}
        assert (rejection_reason(scope, AllowedHosts()) == "") == allowed
    pairs = [host, origin, (b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")]
    assert rejection_reason({"type": "http", "method": "POST", "headers": pairs}, AllowedHosts())
    pairs = [(b"host", b"app.example"), origin, (b"sec-fetch-site", b"same-origin")]
    assert "host name" in rejection_reason({"type": "http", "method": "POST", "headers": pairs}, AllowedHosts())
