"""A real server is attacked: by requests that name other files, and by pages of other sites in a real browser."""

import base64
import http.server
import json
import os
import threading
import time

import pytest
from attacks import GRADIO_3, Attacker, paths_in, payloads
from browser_pages import serve

MARK = "contents-8c1d5e"
SENTENCE = "has not been uploaded to this server"
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory, inputs):
    """``sadtalker ui``, with secrets in its working directory and a picture with a face among them."""
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "secret.txt").write_text(MARK)
    (folder / "secret.mp4").write_text(MARK)
    (folder / "secret.png").write_bytes((inputs / "portrait.png").read_bytes())
    (folder / "inner").mkdir()
    (folder / "inner" / "secret.txt").write_text(MARK)
    made = serve(folder, "-m", "sadtalker_ext", "ui", "-o", folder / "videos", "--device", "cpu")
    yield made
    made.close()


@pytest.fixture
def attacker(server):
    return Attacker(server.address)


def stored(server):
    """Files that the server keeps for visitors, by path."""
    return {path for path in (server.folder / "gradio").rglob("*") if path.is_file()}


def assert_nothing_leaks(server, attacker, answer):
    assert MARK.encode() not in answer
    assert b"root:" not in answer
    assert b"st-faces" not in answer
    for path in paths_in(answer):
        _, _, content = attacker.file(path.removeprefix("/file="))
        assert MARK.encode() not in content, path
        assert b"root:" not in content, path


def assert_nothing_kept(server, before):
    assert stored(server) == before
    assert not list((server.folder / "videos").glob("*/*"))


def test_the_recipe(server, attacker):
    body = {"fn_index": 2, "data": [{"name": "/etc/passwd", "is_file": True, "data": None}]}
    before = stored(server)
    for index in range(40):
        _, headers, answer = attacker.send("POST", "/run/predict", body | {"fn_index": index}, origin=EVIL)
        assert "access-control-allow-origin" not in headers
        assert_nothing_leaks(server, attacker, answer)
        status, headers, answer = attacker.send("POST", "/run/predict", body | {"fn_index": index})
        assert status >= 400
        assert "access-control-allow-origin" not in headers
        assert_nothing_leaks(server, attacker, answer)
    assert SENTENCE in attacker.send("POST", "/run/predict", body)[2].decode()
    assert_nothing_kept(server, before)


@pytest.mark.parametrize("name", ["secret.txt", "secret.png", "/etc/passwd"])
def test_no_event_reads_a_file_that_was_not_uploaded(server, attacker, name):
    target, before = str(server.folder / name), stored(server)
    functions = [(index, inputs) for index, inputs in attacker.functions() if inputs]
    assert len(functions) >= 10
    for index, inputs in functions:
        for payload in payloads(target):
            assert_nothing_leaks(server, attacker, attacker.call(index, [payload] * len(inputs)))
    assert_nothing_kept(server, before)


def test_no_field_of_an_order_reads_a_file_that_was_not_uploaded(server, attacker, inputs):
    """The other fields are as the page sends them, so that nothing else is wrong with the order."""
    portrait = attacker.upload("portrait.png", (inputs / "portrait.png").read_bytes())
    look, _ = attacker.event("portrait", "face")
    attacker.call(look, [picture_value(inputs, portrait), "largest"])
    index, names = attacker.event("ticket", "portrait", "voice", "idle", "reference")
    before = stored(server)
    for position in (1, 2, 4):
        for payload in payloads(str(server.folder / "secret.png")):
            data = attacker.defaults(names)
            data[1], data[3] = picture_value(inputs, portrait), 0 if position == 2 else 1
            data[position] = payload
            answer = attacker.call(index, data)
            assert b"data-busy" not in answer, payload
            assert_nothing_leaks(server, attacker, answer)
    assert_nothing_kept(server, before)


def picture_value(inputs, uploaded):
    """A portrait as the page of this Gradio sends it."""
    if GRADIO_3:
        return "data:image/png;base64," + base64.b64encode((inputs / "portrait.png").read_bytes()).decode()
    return {"path": uploaded, "meta": {"_type": "gradio.FileData"}, "orig_name": "portrait.png"}


def test_an_uploaded_portrait_is_read(attacker, inputs):
    """What the tests above refuse is refused for its place alone."""
    uploaded = attacker.upload("portrait.png", (inputs / "portrait.png").read_bytes())
    assert attacker.file(uploaded)[2] == (inputs / "portrait.png").read_bytes()
    index, _ = attacker.event("portrait", "face")
    assert b"st-face-box" in attacker.call(index, [picture_value(inputs, uploaded), "largest"])
    assert b"st-face-box" in attacker.call(index, [{"path": uploaded} if not GRADIO_3 else uploaded, "largest"])


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_links_in_the_folder_lead_nowhere(server, attacker, inputs):
    uploaded = attacker.upload("a.png", (inputs / "portrait.png").read_bytes())
    folder = server.folder / "gradio" / os.path.basename(os.path.dirname(uploaded))
    look, _ = attacker.event("portrait", "face")
    links = {"link.png": server.folder / "secret.png", "link.txt": server.folder / "secret.txt", "dir": server.folder}
    for name, target in links.items():
        (folder / name).symlink_to(target)
    for path in (folder / "link.png", folder / "link.txt", folder / "dir" / "secret.txt", folder / "dir" / "secret.png"):
        assert attacker.file(path)[0] == 404
        for payload in payloads(str(path)):
            answer = attacker.call(look, [payload, "largest"])
            assert MARK.encode() not in answer
            assert b"st-faces" not in answer


def test_files_are_served_from_the_folder_for_uploads_only(server, attacker):
    uploaded = attacker.upload("page.html", b"<script>1</script>")
    status, headers, _ = attacker.file(uploaded)
    assert status == 200
    assert headers["content-security-policy"] == "sandbox"
    assert headers["x-content-type-options"] == "nosniff"
    inner, upload_dir = server.folder / "inner" / "secret.txt", os.path.dirname(uploaded)
    deep = "/".join([".."] * 12)
    for way in ("/file=", "/file/", "//file=", "///file/", "/gradio_api/file=", "/%66ile=", "/./file="):
        for path in (
            server.folder / "secret.txt", server.folder / "secret.mp4", "secret.txt", "inner/secret.txt", inner,
            "./secret.txt", "/etc/passwd", f"{upload_dir}/{deep}/etc/passwd", f"{upload_dir}/../../secret.txt",
            f"{upload_dir}/{deep}{inner}", "../secret.txt", "//etc/passwd", "file:///etc/passwd", server.folder / "log.txt",
            "gradio/../secret.txt", upload_dir, ".", "", "%2e%2e/secret.txt", "secret.txt%00.png",
        ):  # fmt: skip
            status, headers, content = attacker.send("GET", way + str(path))
            assert status >= 400, (way, path)
            assert MARK.encode() not in content
            assert b"root:" not in content
    assert attacker.send("POST", f"/file={uploaded}")[0] == 405
    assert attacker.send("HEAD", f"/file={uploaded}")[0] in (200, 405)
    assert attacker.send("GET", f"/file={uploaded}", range="bytes=0-7")[2] == b"<script>"


class Bait(http.server.BaseHTTPRequestHandler):
    """Counts who comes, and serves the attacker's page."""

    def do_GET(self):
        self.server.asked.append(self.path)
        body = b"<title>other site</title>" if self.path == "/" else MARK.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def bait():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bait)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_server_asks_no_other_machine(server, attacker, bait):
    address = f"http://127.0.0.1:{bait.server_address[1]}/bait.png"
    before = stored(server)
    for way in ("/file=", "/file/", "/proxy=", "//proxy=", "/gradio_api/proxy=", "/gradio_api/file="):
        for method in ("GET", "HEAD"):
            status, headers, content = attacker.send(method, way + address)
            assert status >= 400
            assert "location" not in headers
            assert MARK.encode() not in content
    for index, names in attacker.functions():
        for payload in payloads(address):
            assert MARK.encode() not in attacker.call(index, [payload] * len(names))
    time.sleep(0.5)
    assert bait.asked == []
    assert stored(server) == before


PATHS = ("/", "/config", "/info", "/run/predict", "/upload", "/queue/join", "/queue/data", "/theme.css", "/file=/etc/passwd")


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT", "DELETE"])
def test_other_names_and_origins_are_refused_everywhere(attacker, method):
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


def test_the_own_page_and_programs_are_answered(attacker):
    for headers in (
        {}, {"origin": f"http://{attacker.host}"},
        {"host": attacker.host.replace("127.0.0.1", "localhost"), "origin": f"http://{attacker.host}".replace("127.0.0.1", "localhost")},
    ):  # fmt: skip
        status, got, content = attacker.send("GET", "/config", **headers)
        assert (status, b'"dependencies"' in content) == (200, True)
        assert not [name for name in got if name.startswith("access-control")]


def test_websockets_are_refused(attacker):
    """Of other origins by the guard, which has tests of its own; of the own page because it needs none."""
    handshake = {
        "connection": "Upgrade", "upgrade": "websocket", "sec_websocket_version": "13",
        "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    for headers in ({"origin": EVIL}, {"host": "evil.example"}, {"origin": "null"}, {}):
        assert attacker.send("GET", "/queue/join", **handshake, **headers)[0] == 403


ATTACK = """
async ({victim, bodies, secret}) => {
    const told = [];
    const text = async (answer) => { const got = await answer; return got.type + " " + got.status + " " + await got.text(); };
    const tries = [];
    const ask = (path, options) => tries.push([path, () => text(fetch(victim + path, options))]);
    for (const path of ["", "config", "file=/etc/passwd", "file=" + secret, "info", "queue/status"]) {
        ask(path, {});
        ask(path, {credentials: "include"});
    }
    for (const body of bodies) {
        for (const path of ["run/predict", "api/predict", "queue/join"]) {
            ask(path, {method: "POST", headers: {"content-type": "application/json"}, body});
            ask(path, {method: "POST", mode: "no-cors", body});
            ask(path, {method: "POST", mode: "no-cors", body: new Blob([body])});
            ask(path, {method: "POST", mode: "no-cors", referrerPolicy: "no-referrer", body: new Blob([body])});
        }
    }
    const form = new FormData();
    form.append("files", new Blob(["bad"]), "bad.html");
    ask("upload", {method: "POST", body: form});
    ask("upload", {method: "POST", mode: "no-cors", body: form});
    for (const [path, send] of tries) {
        try { told.push(path + ": " + await send()); } catch (error) { told.push(path + ": " + error.name); }
    }
    const socket = await new Promise((done) => {
        const made = new WebSocket(victim.replace("http", "ws") + "queue/join");
        made.onopen = () => done("open");
        made.onerror = () => done("refused");
    });
    told.push("socket: " + socket);
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts allow-forms";
    frame.srcdoc = `<form method=post enctype=text/plain action="${victim}run/predict">` +
        "<input name='{&quot;fn_index&quot;:2,&quot;data&quot;:[&quot;' value='&quot;]}'></form>" +
        "<script>document.forms[0].submit()</" + "script>";
    document.body.append(frame);
    await new Promise((done) => setTimeout(done, 1500));
    return told;
}
"""


def orders(server, attacker, inputs):
    """Bodies of requests: the recipe, and an order that the page's own visitor could give."""
    index, names = attacker.event("ticket", "portrait", "voice", "idle", "reference")
    data = attacker.defaults(names)
    data[1] = picture_value(inputs, attacker.upload("portrait.png", (inputs / "portrait.png").read_bytes()))
    data[3] = 1
    session = {"session_hash": "a1b2c3"}
    recipe = {"fn_index": 2, "data": [{"name": str(server.folder / "secret.txt"), "is_file": True, "data": None}]}
    return [json.dumps(recipe | session), json.dumps({"fn_index": index, "data": data, **session})]


def working(attacker):
    """What the page shows of jobs when it is opened."""
    ids = {entry["id"]: entry["props"].get("elem_id") for entry in attacker.config()["components"]}
    found = [
        attacker.call(entry["id"] if not GRADIO_3 else position, ["starter"])
        for position, entry in enumerate(attacker.config()["dependencies"])
        if [ids[name] for name in entry["outputs"][:2]] == ["sadtalker_job", "sadtalker_progress"]
        and len(entry["inputs"]) == 1
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("site", [EVIL, "http://localhost", "http://127.0.0.1"])
def test_a_page_of_another_site_reads_and_starts_nothing(server, attacker, browser, bait, inputs, site):
    bodies = orders(server, attacker, inputs)
    before = stored(server)
    page = browser.new_page()
    page.goto(f"{site}:{bait.server_address[1]}/")
    assert page.title() == "other site"
    secret = str(server.folder / "secret.txt")
    told = page.evaluate(ATTACK, {"victim": server.address, "bodies": bodies, "secret": secret})
    page.close()
    assert told[-1] == "socket: refused"
    assert len(told) > 30
    for line in told[:-1]:
        assert line.endswith((": TypeError", ": opaque 0 ")), line
    assert b"data-busy" not in working(attacker)
    assert_nothing_kept(server, before)


def test_a_page_that_takes_over_the_address_reads_and_starts_nothing(server, attacker, browser, bait, inputs):
    """DNS rebinding: the attacker's name means this machine now, and the browser thinks it is the same origin."""
    port, before = attacker.host.rpartition(":")[2], stored(server)
    page = browser.new_page()
    for path in ("", "config", f"file={server.folder}/secret.txt"):
        answer = page.goto(f"{EVIL}:{port}/{path}")
        assert answer.status == 403
        assert "does not answer for the host name" in page.inner_text("body")
    (line,) = page.evaluate(
        """async (body) => {
            const got = await fetch("/run/predict", {method: "POST", headers: {"content-type": "application/json"}, body});
            return [got.status + " " + await got.text()];
        }""",
        orders(server, attacker, inputs)[0],
    )
    assert line.startswith("403 ")
    page.close()
    assert stored(server) - before <= {path for path in stored(server) if path.name == "portrait.png"}


def test_the_order_of_the_attack_is_a_good_one(server, attacker, inputs):
    """Sent by the own page, the same order makes a video: last, for others look whether anything was made."""
    body = orders(server, attacker, inputs)[1]
    status, _, answer = attacker.send("POST", "/run/predict", body.encode(), origin=f"http://{attacker.host}")
    assert status == 200
    assert b"data-busy" in answer
    until_s = time.monotonic() + 180
    while not list((server.folder / "videos").glob("*/*.mp4")):
        assert time.monotonic() < until_s
        time.sleep(0.2)
