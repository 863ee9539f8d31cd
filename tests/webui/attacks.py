"""Requests that the page itself never sends."""

import base64
import http.client
import http.server
import json
import re
from functools import cached_property
from urllib.parse import quote, urlsplit
from uuid import uuid4

import gradio

GRADIO_3 = gradio.__version__.startswith("3.")
MARK = "contents-8c1d5e"
SENTENCE = "has not been uploaded to this server"
EVIL = "http://evil.example"
"""The browser of these tests resolves this name to this machine."""


class Attacker:
    """Sends raw requests to a server: paths are not normalised, and every header can be set."""

    def __init__(self, address):
        self.host = urlsplit(address).netloc

    def send(self, method, path, body=None, **headers):
        """Return status, headers and body of the response; ``host`` and ``origin`` are set like other headers."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            sent = {"host": self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            if data is not None:
                sent = {"content-type": "application/json", "content-length": str(len(data)), **sent}
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            kept = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, kept, b"" if answer.status == 101 else answer.read()
        finally:
            connection.close()

    @cached_property
    def config(self):
        return json.loads(self.send("GET", "/config")[2])

    def functions(self):
        """Yield index and inputs of every event."""
        for position, entry in enumerate(self.config["dependencies"]):
            yield entry.get("id", position) if not GRADIO_3 else position, entry["inputs"]

    def event(self, *fields):
        """Return index and inputs of the event whose first inputs have these ids."""
        ids = {entry["id"]: entry["props"].get("elem_id") for entry in self.config["components"]}
        first = [f"sadtalker_{field}" for field in fields]
        named = {index: (names, [ids[name] for name in names]) for index, names in self.functions()}
        return next((index, names) for index, (names, inputs) in named.items() if inputs[: len(first)] == first)

    def defaults(self, inputs):
        """Return the values that the page sends if nothing was changed."""
        values = {entry["id"]: entry["props"].get("value") for entry in self.config["components"]}
        return [values.get(name) for name in inputs]

    def call(self, index, data):
        """Call a function through every route; return the responses."""
        body = {"fn_index": index, "data": data, "session_hash": uuid4().hex[:10], "event_data": None}
        answers = [self.send("POST", path, body)[2] for path in ("/run/predict", "/api/predict/")]
        if not GRADIO_3 and self.send("POST", "/queue/join", body)[0] == 200:
            answers.append(self.send("GET", f"/queue/data?session_hash={body['session_hash']}")[2])
        return b"\n".join(answers)

    def file(self, path, route="/file="):
        return self.send("GET", route + quote(str(path), safe="/:"))

    def upload(self, name, content):
        """Upload a file as the page does; return its path on the server."""
        form = (
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="' + name.encode()
            + b'"\r\nContent-Type: application/octet-stream\r\n\r\n' + content + b"\r\n--b--\r\n"
        )  # fmt: skip
        status, _, answer = self.send("POST", "/upload", form, content_type="multipart/form-data; boundary=b")
        assert status == 200, answer
        return json.loads(answer)[0]


def paths_in(text):
    """Return everything in a response that looks like the path of a file."""
    decoded = text.decode("utf-8", errors="replace").replace("\\/", "/")
    return set(re.findall(r'/[^"\\\s<>]{3,}', decoded))


def payloads(path):
    """Return values that name a file, in every form that Gradio accepts, also nested."""
    meta = {"_type": "gradio.FileData"}
    record = {"path": path, "meta": meta, "orig_name": "a.wav", "mime_type": "audio/wav", "size": 1}
    old = {"name": path, "is_file": True, "data": None}
    return [
        old, {"name": path, "is_file": True, "data": None, "orig_name": "a.wav"}, {**old, "path": path},
        {"path": path}, record, {**record, "is_stream": True}, {**record, "url": f"/file={path}"}, path, [path], [old],
        [record], [[old]], [[record, None]], {"image": old, "mask": None}, {"video": record, "subtitles": record},
        {"value": record}, {"files": [record], "text": path}, {"name": path, "is_file": False, "data": path},
        {"name": path, "is_file": False, "data": f"/file={path}"}, f"/file={path}",
        {"__type__": "update", "value": path},
    ]  # fmt: skip


def stored(server):
    """Return the paths of all files in the server's upload folder."""
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


def picture_value(inputs, uploaded):
    """Return a portrait as the page of this Gradio version sends it."""
    if GRADIO_3:
        return "data:image/png;base64," + base64.b64encode((inputs / "portrait.png").read_bytes()).decode()
    return {"path": uploaded, "meta": {"_type": "gradio.FileData"}, "orig_name": "portrait.png"}


class Bait(http.server.BaseHTTPRequestHandler):
    """Records requests and serves the attacker's page."""

    def do_GET(self):
        self.server.requests.append(self.path)
        body = b"<title>other site</title>" if self.path == "/" else MARK.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_):
        pass
