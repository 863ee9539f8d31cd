"""Requests to the REST API and to the handlers of the page: paths, headers, bodies and values."""

import base64
import contextlib
import time

import pytest
from fuzz_cases import LIMIT_S, check_message, check_response, property_of, time_limit
from fuzz_values import as_json, broken_json, settings, texts, values
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="fastapi is not installed")
from fastapi.testclient import TestClient

from sadtalker_ext.api.app import make_app
from sadtalker_ext.api.options import ApiOptions
from sadtalker_ext.pipeline.job_queue import JobQueue

JOBS, BASE = "/sadtalker/v1/jobs", "http://127.0.0.1:7870"
FIELDS = ("portrait", "voice", "reference", "idle_s", "reference_use", "settings")
ENDED = ("done", "failed", "stopped")


@pytest.fixture(scope="module")
def client(place):
    """A client of the API; its server reads files of the folder, and requests addresses of no other machine."""
    with contextlib.ExitStack() as stack:
        app = make_app(JobQueue(), ApiOptions(folders=(place.folder,), urls=True, logins={}))
        yield stack.enter_context(TestClient(app, base_url=BASE, raise_server_exceptions=True))
    assert place.entries() == {(path, size) for path, size in place.entries() if place.temporary not in path.parents}


def finish(client, place, response):
    """Check a response; wait for the job that it created, check its state, and remove it."""
    if not check_response(response) or response.request.method != "POST":
        return
    job = response.json()["id"]
    until_s = time.monotonic() + LIMIT_S
    while (view := client.get(f"{JOBS}/{job}").json())["state"] not in ENDED:
        assert time.monotonic() < until_s, view
        time.sleep(0.005)
    if view["state"] == "failed":
        check_message(view["error"])
        assert str(place.folder) not in view["error"]
    assert client.delete(f"{JOBS}/{job}").status_code == 200


@pytest.fixture(scope="module")
def portrait(place):
    return base64.b64encode((place.folder / "portrait.png").read_bytes()).decode()


paths = st.sampled_from(["portrait.png", "absent.png", "../portrait.png", "", ".", "a\0b", "\ud800", "a" * 300])
file_values = st.one_of(
    st.fixed_dictionaries(
        {"base64": texts | st.binary(max_size=30).map(lambda content: base64.b64encode(content).decode())}
    ),
    paths.map(lambda name: {"path": name}),
    texts.map(lambda name: {"path": name}),
    texts.map(lambda address: {"url": address}),
    texts.map(lambda host: {"url": f"http://{host}.invalid:99999/"}),
    values,
)


@property_of(8, data=st.data())
def test_json_bodies(client, place, portrait, data):
    body = {"portrait": {"base64": portrait}, "voice": data.draw(file_values)}
    body |= data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS[:3], file_values)))
    body |= data.draw(
        st.fixed_dictionaries({}, optional={"settings": settings | values, "reference_use": values, "idle_s": values})
    )
    body |= data.draw(st.dictionaries(texts, values, max_size=1))
    content = data.draw(st.just(as_json(body)) | broken_json)
    with time_limit():
        finish(client, place, client.post(JOBS, content=content, headers={"content-type": "application/json"}))


def part(name, value, filename, extra):
    head = b'--x\r\nContent-Disposition: form-data; name="' + name + b'"' + extra
    return head + (b"" if filename is None else b'; filename="' + filename + b'"') + b"\r\n\r\n" + value + b"\r\n"


field_names = st.sampled_from([name.encode() for name in FIELDS]) | st.binary(max_size=8)
parts = st.builds(
    part,
    field_names,
    st.binary(max_size=40) | texts.map(lambda text: text.encode("utf-8", "replace")) | settings.map(as_json),
    st.none()
    | st.sampled_from([b"a.png", b"a.wav", b"", b"../../x.png", b"a\0.png", b"\xff.wav", b"a" * 300 + b".png"]),
    st.sampled_from([b"", b"", b"; filename*=UTF-8''%ff", b"; name=voice", b"\r\nContent-Type: x/y", b"\r\n" * 9]),
)


@property_of(6, data=st.data(), end=st.sampled_from([b"--x--\r\n", b"--x--\r\n", b"--x", b"", b"\0"]))
def test_forms(client, place, data, end):
    picture = part(b"portrait", (place.folder / "portrait.png").read_bytes(), b"me.png", b"")
    body = b"".join([picture, *data.draw(st.lists(parts, max_size=5)), end])
    kind = data.draw(
        st.sampled_from(
            ["multipart/form-data; boundary=x"] * 6
            + ["multipart/form-data", "text/plain", 'Multipart/Form-Data;boundary="x"']
        )
    )
    with time_limit():
        finish(client, place, client.post(JOBS, content=body, headers={"content-type": kind}))


header_values = st.one_of(
    st.sampled_from(
        [
            b"",
            b"*/*",
            b"bytes=0-",
            b"bytes=-1",
            b"bytes=9-1",
            b"Basic \xff",
            b"Basic Og==",
            b"127.0.0.1:7870",
            b"localhost",
        ]
    ),
    st.binary(max_size=20).map(lambda text: bytes(set(text) - {0, 10, 13})),
    st.integers(0, 10**20).map(lambda n: str(n).encode()),
)
header_names = st.sampled_from(
    [
        "authorization",
        "range",
        "if-range",
        "content-length",
        "content-type",
        "accept",
        "host",
        "origin",
        "sec-fetch-site",
        "x-forwarded-for",
        "transfer-encoding",
        "cookie",
        "expect",
    ]
)
url_parts = st.sampled_from(
    [
        "/",
        "sadtalker",
        "v1",
        "jobs",
        "health",
        "engines",
        "settings/schema",
        "video",
        "docs",
        "openapi.json",
        "..",
        "%2e%2e",
        "%00",
        "%ff",
        "//",
        "?a=%",
        "x" * 3000,
        "\u00e9",
        "#",
    ]
)


@property_of(
    7,
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "X"]),
    url=st.just([]) | st.lists(url_parts, max_size=6),
    headers=st.dictionaries(header_names, header_values, max_size=3),
    content=st.binary(max_size=30),
)
def test_paths_and_headers(client, place, method, url, headers, content):
    target = BASE + (JOBS if not url else "/" + "/".join(url))
    with time_limit(), place.unchanged():
        response = client.request(method, target, headers=headers, content=content, follow_redirects=False)
    assert response.status_code < 500, response.text
    assert "Traceback" not in response.text
    assert str(place.temporary) not in response.text
