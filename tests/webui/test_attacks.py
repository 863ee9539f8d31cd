"""Attacks on a real server by requests that name other files, hosts and origins."""

import os
import time
from operator import itemgetter

import pytest
from attacks import (
    EVIL,
    GRADIO_3,
    MARK,
    SENTENCE,
    assert_nothing_kept,
    assert_nothing_leaks,
    payloads,
    picture_value,
    stored,
)  # fmt: skip


def test_the_published_attack(attacked, attacker):
    body = {"fn_index": 2, "data": [{"name": "/etc/passwd", "is_file": True, "data": None}]}
    before = stored(attacked)
    for index in range(40):
        _, headers, answer = attacker.send("POST", "/run/predict", body | {"fn_index": index}, origin=EVIL)
        assert "access-control-allow-origin" not in headers
        assert_nothing_leaks(attacked, attacker, answer)
        status, headers, answer = attacker.send("POST", "/run/predict", body | {"fn_index": index})
        assert status >= 400
        assert "access-control-allow-origin" not in headers
        assert_nothing_leaks(attacked, attacker, answer)
    assert SENTENCE in attacker.send("POST", "/run/predict", body)[2].decode()
    assert_nothing_kept(attacked, before)


@pytest.mark.parametrize("name", ["secret.txt", "secret.png", "/etc/passwd"])
def test_no_event_reads_a_file_that_was_not_uploaded(attacked, attacker, name):
    target, before = str(attacked.folder / name), stored(attacked)
    functions = [(index, inputs) for index, inputs in attacker.functions() if inputs]
    assert len(functions) >= 10
    for index, inputs in functions:
        for payload in payloads(target):
            assert_nothing_leaks(attacked, attacker, attacker.call(index, [payload] * len(inputs)))
    assert_nothing_kept(attacked, before)


def test_no_field_of_a_request_reads_a_file_that_was_not_uploaded(attacked, attacker, inputs):
    """The other fields are as the page sends them, so that the request is otherwise valid."""
    portrait = attacker.upload("portrait.png", (inputs / "portrait.png").read_bytes())
    show_faces, _ = attacker.event("portrait")
    attacker.call(show_faces, [picture_value(inputs, portrait)])
    index, names = attacker.event("new_job_id", "portrait", "voice", "idle", "reference")
    before = stored(attacked)
    for position in (1, 2, 4):
        for payload in payloads(str(attacked.folder / "secret.png")):
            data = attacker.defaults(names)
            data[1], data[7] = picture_value(inputs, portrait), "upload" if position == 2 else "silent"
            data[position] = payload
            answer = attacker.call(index, data)
            assert b"data-busy" not in answer, payload
            assert_nothing_leaks(attacked, attacker, answer)
    assert_nothing_kept(attacked, before)


def test_an_uploaded_portrait_is_read(attacker, inputs):
    """The files in the tests above are refused only because of their location."""
    uploaded = attacker.upload("portrait.png", (inputs / "portrait.png").read_bytes())
    assert attacker.file(uploaded)[2] == (inputs / "portrait.png").read_bytes()
    index, _ = attacker.event("portrait")
    assert b"st-face-box" in attacker.call(index, [picture_value(inputs, uploaded)])
    assert b"st-face-box" in attacker.call(index, [{"path": uploaded} if not GRADIO_3 else uploaded])


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_links_in_the_upload_folder_are_not_followed(attacked, attacker, inputs):
    uploaded = attacker.upload("a.png", (inputs / "portrait.png").read_bytes())
    folder = attacked.folder / "gradio" / os.path.basename(os.path.dirname(uploaded))
    show_faces, _ = attacker.event("portrait")
    links = {"link.png": "secret.png", "link.txt": "secret.txt", "dir": ""}
    for name, target in links.items():
        (folder / name).symlink_to(attacked.folder / target)
    for path in (folder / name for name in ("link.png", "link.txt", "dir/secret.txt", "dir/secret.png")):
        assert attacker.file(path)[0] == 404
        for payload in payloads(str(path)):
            answer = attacker.call(show_faces, [payload])
            assert MARK.encode() not in answer
            assert b"st-faces" not in answer


def test_only_files_of_the_upload_folder_are_served(attacked, attacker):
    uploaded = attacker.upload("page.html", b"<script>1</script>")
    status, headers, _ = attacker.file(uploaded)
    assert status == 200
    assert headers["content-security-policy"] == "sandbox"
    assert headers["x-content-type-options"] == "nosniff"
    inner, upload_dir = attacked.folder / "inner" / "secret.txt", os.path.dirname(uploaded)
    deep = "/".join([".."] * 12)
    for route in ("/file=", "/file/", "//file=", "///file/", "/gradio_api/file=", "/%66ile=", "/./file="):
        for path in (
            attacked.folder / "secret.txt", attacked.folder / "secret.mp4", "secret.txt", "inner/secret.txt", inner,
            "./secret.txt", "/etc/passwd", f"{upload_dir}/{deep}/etc/passwd", f"{upload_dir}/../../secret.txt",
            f"{upload_dir}/{deep}{inner}", "../secret.txt", "//etc/passwd", "file:///etc/passwd",
            attacked.folder / "log.txt", "gradio/../secret.txt", upload_dir, ".", "", "%2e%2e/secret.txt",
            "secret.txt%00.png",
        ):  # fmt: skip
            status, headers, content = attacker.send("GET", route + str(path))
            assert status >= 400, (route, path)
            assert MARK.encode() not in content
            assert b"root:" not in content
    assert attacker.send("POST", f"/file={uploaded}")[0] == 405
    assert attacker.send("HEAD", f"/file={uploaded}")[0] in (200, 405)
    assert attacker.send("GET", f"/file={uploaded}", range="bytes=0-7")[2] == b"<script>"


def test_the_server_sends_no_requests_to_other_machines(attacked, attacker, bait):
    address = f"http://127.0.0.1:{bait.server_address[1]}/bait.png"
    before = stored(attacked)
    for route in ("/file=", "/file/", "/proxy=", "//proxy=", "/gradio_api/proxy=", "/gradio_api/file="):
        for method in ("GET", "HEAD"):
            status, headers, content = attacker.send(method, route + address)
            assert status >= 400
            assert "location" not in headers
            assert MARK.encode() not in content
    for index, names in filter(itemgetter(1), attacker.functions()):
        for payload in payloads(address):
            assert MARK.encode() not in attacker.call(index, [payload] * len(names))
    time.sleep(0.5)
    assert bait.requests == []
    assert stored(attacked) == before


PATHS = (
    "/", "/config", "/info", "/run/predict", "/upload", "/queue/join", "/queue/data", "/theme.css", "/file=/etc/passwd",
)  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT", "DELETE"])
def test_other_host_names_and_origins_are_refused_on_every_route(attacker, method):
    port = attacker.host.rpartition(":")[2]
    for path in PATHS:
        for headers in (
            {"host": "evil.example"}, {"host": f"evil.example:{port}", "origin": f"{EVIL}:{port}"}, {"host": None},
            {"origin": EVIL}, {"origin": "null"}, {"origin": f"http://localhost:{port}"}, {"origin": "http://127.0.0.1:1"},
            {"host": f"127.0.0.1.evil.example:{port}"}, {"origin": EVIL, "x_forwarded_host": "evil.example"},
            {"origin": EVIL, "access_control_request_method": "POST", "access_control_request_headers": "content-type"},
        ):  # fmt: skip
            status, got, content = attacker.send(method, path, **headers)
            assert status in (403, 400), (path, headers)
            assert not [name for name in got if name.startswith("access-control")]
            assert len(content) < 500


def test_the_servers_own_page_and_programs_are_answered(attacker):
    port = attacker.host.rpartition(":")[2]
    for headers in (
        {}, {"origin": f"http://{attacker.host}"},
        {"host": f"localhost:{port}", "origin": f"http://localhost:{port}"}, {"host": f"localhost:{port}"},
    ):  # fmt: skip
        status, got, content = attacker.send("GET", "/config", **headers)
        assert (status, b'"dependencies"' in content) == (200, True)
        assert not [name for name in got if name.startswith("access-control")]


def test_websockets_are_refused(attacker):
    """Those of other origins by the request guard, which has its own tests; the page itself uses none."""
    handshake = {
        "connection": "Upgrade", "upgrade": "websocket", "sec_websocket_version": "13",
        "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    for headers in ({"origin": EVIL}, {"host": "evil.example"}, {"origin": "null"}, {}):
        assert attacker.send("GET", "/queue/join", **handshake, **headers)[0] == 403


def test_refused_requests_take_one_line_in_the_log(attacked, attacker):
    """A traceback for each of them would fill the disk, and hide errors."""
    before = len(attacked.log())
    index, _ = attacker.event("portrait")
    answer = attacker.call(index, [{"path": "/etc/passwd"}])
    written = attacked.log()[before:]
    assert all(line.startswith("A request was refused: ") for line in written.splitlines())
    assert SENTENCE in answer.decode() + written


def test_the_state_of_the_unused_queue_is_no_error(attacked, attacker):
    before = len(attacked.log())
    assert attacker.send("GET", "/queue/status")[0] == 404
    assert "Traceback" not in attacked.log()[before:]
