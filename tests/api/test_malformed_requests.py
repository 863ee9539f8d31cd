"""The REST API answers every malformed request with a status and a sentence, never with an internal error."""

import base64
import json

import pytest
from rest_requests import JOBS, as_base64, detail

from sadtalker_ext.api import bodies

DEEP = 100_000
FORM = {"content-type": "multipart/form-data; boundary=x"}
HOSTILE = (
    "--5",
    "²",
    "1" * 5000,
    "\ud800",
    "１２",
    "٣",
    "é",
    "😀",
    "\0",
    "5e400",
    "",
    "=",
    "A===",
    "data:",
    [],
    {},
    True,
)


def as_json(body):
    return {"content": body if isinstance(body, bytes) else json.dumps(body).encode()}


def send_json(client, body):
    return client.post(JOBS, **as_json(body), headers={"content-type": "application/json"})


def part(name, value, filename=None):
    file = "" if filename is None else f'; filename="{filename}"'
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n{value}\r\n'.encode("utf-8", "replace")


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:12])
def test_hostile_values_are_refused_in_every_field(serve, portrait_file, value):
    """A value that is refused names the reason; base64 that happens to be valid makes a job, which fails."""
    client = serve(urls=True).client
    portrait = as_base64(portrait_file)
    for fields in (
        {"settings": {"seed": value}}, {"settings": {"face": value}}, {"settings": {"engine": value}},
        {"settings": {str(value): 1}}, {"settings": str(value)}, {"idle_s": value}, {"reference_use": value},
        {"portrait": {"base64": value}}, {"portrait": {"path": value}}, {"portrait": {"url": value}},
        {"portrait": {str(value): "x"}}, {"portrait": value}, {str(value): 1},
    ):  # fmt: skip
        response = send_json(client, {"portrait": portrait, "idle_s": 0.3, **fields})
        if response.status_code != 202:
            assert 400 <= response.status_code < 500
            detail(response, response.status_code)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP, b'{"a":' * DEEP, b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", b'{"a":"\xff"}', b'{"a":"\\ud800"}',
        b'{"\\ud800":1}', b'{"idle_s":' + b"9" * 5000 + b"}", b'{"settings":{"seed":' + b"9" * 301 + b"}}", b"",
        json.dumps({"portrait": "{" + '"a":{' * DEEP, "idle_s": 1}).encode(),
        json.dumps({"settings": "[" * DEEP}).encode(), json.dumps({"settings": '"\\ud800"'}).encode(),
    ],
    ids=lambda body: ascii(body)[:16],
)  # fmt: skip
def test_broken_json_is_refused(serve, body):
    assert detail(send_json(serve().client, body), 400).startswith("The ")


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1",
        "http://x:99999/",
        "http://x:-1",
        "http://[::1]:x/",
        "http://\u2100.com",
        "http://x:٣/",
        "http://:80",
    ],
)
def test_broken_addresses_are_refused(serve, address):
    response = send_json(serve(urls=True).client, {"portrait": {"url": address}, "idle_s": 1})
    assert "address" in detail(response, 422)


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"junk", FORM, 400), (b"junk", {"content-type": "multipart/form-data"}, 400),
        (b"junk", {"content-type": "multipart/form-data; boundary="}, 400),
        (b"junk", {"content-type": "multipart/form-data; boundary=é".encode()}, 400),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", FORM, 400),
        (part("portrait", "x", "a" * 5000) + b"--x--\r\n", FORM, 400),
        (b"".join(part(f"f{i}", "1") for i in range(1000)) + b"--x--\r\n", FORM, 400),
        (part("idle_s", "\ufffd") + b"--x--\r\n", FORM, 422),
        (part("settings", "[" * DEEP) + part("idle_s", "1") + b"--x--\r\n", FORM, 400),
        (part("settings", " " * 1_100_000) + b"--x--\r\n", FORM, 413),
    ],
    ids=lambda value: ascii(value)[:16],
)  # fmt: skip
def test_broken_forms_are_refused(serve, body, headers, code):
    service = serve()
    detail(service.client.post(JOBS, content=body, headers=headers), code)
    assert service.temporary_files() == []


@pytest.mark.parametrize("length", ["²", "-1", "1e3", "9" * 5000, " "], ids=ascii)
def test_broken_content_lengths_are_refused(serve, length):
    headers = {"content-type": "application/json", "content-length": length.encode("latin-1")}
    response = serve().client.post(JOBS, content=b"{}", headers=headers)
    assert response.status_code == (413 if length.isascii() and length.isdigit() else 411)


@pytest.mark.parametrize(
    "header", ["Basic é".encode(), b"Basic \xe9", b"Basic", b"", b"Basic ====", b"Bearer x", b"Basic /w==", b"\xff"]
)
def test_broken_logins_are_refused(serve, header):
    response = serve(logins={"me": "secret"}).client.get("/sadtalker/v1/health", headers={"Authorization": header})
    assert detail(response, 401) == "A user name and a password are required"


def test_password_outside_ascii_is_accepted(serve):
    client = serve(logins={"é": "pässword"}).client
    token = base64.b64encode("é:pässword".encode())
    assert client.get("/sadtalker/v1/health", headers={"Authorization": b"Basic " + token}).status_code == 200


def test_base64_is_decoded_as_the_standard_library_does(serve, tmp_path, monkeypatch):
    from sadtalker_ext.api import job_requests
    from sadtalker_ext.errors import MediaError

    monkeypatch.setattr(job_requests, "BASE64_BLOCK", 7)
    content = bytes(range(256))
    for size in (0, 1, 2, 3, 5, 20, 256):
        text = base64.encodebytes(content[:size]).decode()
        for form in (text, f"data:image/png;name=x;base64,{text}", " ".join(text)):
            path = job_requests._decode_base64("portrait", form, tmp_path / "x", None)
            assert path.read_bytes() == content[:size]
    for wrong in ("AA==AAAA", "A", "AAAAA", "AA=", "AA===", "=", "AAAAAAAA=AAAAAA", "AAAAAAAAAAAAAA*="):
        with pytest.raises(MediaError, match="not valid base64"):
            job_requests._decode_base64("portrait", wrong, tmp_path / "x", None)


def test_large_json_is_refused_before_it_is_read(serve, monkeypatch):
    monkeypatch.setattr(bodies, "MAX_JSON_BYTES", 1000)
    message = detail(send_json(serve().client, {"portrait": {"base64": "A" * 1000}}), 413)
    assert message.endswith("send large files as multipart/form-data")
