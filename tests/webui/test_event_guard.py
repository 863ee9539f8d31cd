"""Events of a page inside a webui run for the webui's own page and for programs, and for no other sender."""

import json
import threading
import time

import pytest

pytest.importorskip("gradio")
import gradio as gr
from attacks import EVIL, GRADIO_3
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request

from sadtalker_ext.system.request_guard import AllowedHosts
from sadtalker_ext.webui.event_guard import NOT_DIRECT, guard_events, sender_problem

HOST = "127.0.0.1:7860"
HERE, OTHER_SITE = f"http://{HOST}", "pages of other sites"
CALLS = []


def record(first, second):
    CALLS.append((first, second))
    return f"{first} {second}"


class Handlers:
    def twice(self, text):
        CALLS.append((text, text))
        return text * 2


@pytest.fixture(autouse=True)
def without_calls():
    CALLS.clear()


@pytest.fixture(scope="module")
def client():
    """A webui with a guarded page inside its own."""
    with gr.Blocks() as page:
        texts = [gr.Textbox(), gr.Textbox()]
        button = gr.Button()
        button.click(record, texts, texts[0], queue=False)
        button.click(Handlers().twice, texts[0], texts[1], queue=False)
        button.click(None, None, None, **{"_js" if GRADIO_3 else "js": "() => {}"})
    guard_events(page, lambda: AllowedHosts(bound="", names=("box.lan",), remedy="list this name in the settings"))
    with gr.Blocks() as webui:
        page.render()
    app = FastAPI()
    app = gr.mount_gradio_app(app, webui, path="/")
    with TestClient(app, base_url=HERE, raise_server_exceptions=True) as opened:
        yield opened


def run(client, index, data, extra=None, **headers):
    body = json.dumps({"fn_index": index, "data": data, "session_hash": "abc", **(extra or {})})
    sent = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.post("/run/predict", content=body, headers=sent)


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"origin": HERE}, {"host": "localhost:7860", "origin": "http://localhost:7860"},
        {"host": "192.168.1.5:7860"}, {"host": "box.lan"}, {"origin": "https://box.lan"},
        {"origin": HERE, "sec_fetch_site": "same-origin"},
        {"origin": "https://tunnel.example", "sec_fetch_site": "same-origin"},
    ],
    ids=str,
)  # fmt: skip
def test_the_page_and_programs_are_answered(client, headers):
    assert run(client, 0, ["a", "b"], **headers).json()["data"] == ["a b"]
    assert run(client, 1, ["a"], **headers).json()["data"] == ["aa"]
    assert CALLS == [("a", "b"), ("a", "a")]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"origin": EVIL}, OTHER_SITE), ({"origin": "null"}, OTHER_SITE),
        ({"origin": "http://127.0.0.1:1"}, OTHER_SITE),
        ({"origin": EVIL, "sec_fetch_site": "cross-site"}, OTHER_SITE), ({"sec_fetch_site": "cross-site"}, OTHER_SITE),
        ({"origin": EVIL, "sec_fetch_site": "same-site"}, OTHER_SITE),
        ({"host": "evil.example", "origin": EVIL, "sec_fetch_site": "same-origin"}, "list this name in the settings"),
        ({"host": "evil.example"}, "does not accept the host name 'evil.example'"),
    ],
    ids=str,
)  # fmt: skip
def test_other_senders_are_refused_before_the_handler_runs(client, headers, reason):
    for index, data in ((0, ["a", "b"]), (1, ["a"])):
        answer = run(client, index, data, **headers)
        assert answer.status_code >= 400
        assert reason in answer.text
        assert '"data"' not in answer.text
    assert CALLS == []


@pytest.mark.parametrize("extra", [{"request": {"headers": {"host": HOST}}}, {"request": {}, "batched": True}], ids=str)
def test_headers_in_the_body_of_a_request_do_not_count(client, extra):
    """Gradio 3 shows them to handlers as the headers of the request; Gradio 4 refuses or ignores them."""
    answer = run(client, 0, ["a", "b"], extra, origin=EVIL)
    assert '"data"' not in answer.text
    assert CALLS == []


@pytest.mark.skipif(GRADIO_3, reason="Gradio 3 has a WebSocket there, which needs a server")
@pytest.mark.parametrize(("headers", "allowed"), [({"origin": HERE}, True), ({"origin": EVIL}, False)])
def test_the_queue_of_gradio_4_is_checked(client, headers, allowed):
    session = f"queue{allowed}"
    body = json.dumps({"fn_index": 0, "data": ["a", "b"], "session_hash": session})
    assert client.post("/queue/join", content=body, headers=headers).status_code == 200
    answers = []
    address = f"/queue/data?session_hash={session}"
    reader = threading.Thread(target=lambda: answers.append(client.get(address).text), daemon=True)
    reader.start()
    until_s = time.monotonic() + 20
    while reader.is_alive() and time.monotonic() < until_s:
        time.sleep(0.02)
    assert ("a b" in answers[0]) == allowed
    assert (OTHER_SITE in answers[0]) == (not allowed)
    assert ([("a", "b")] if allowed else []) == CALLS


def test_calls_within_the_process_are_accepted():
    allowed = AllowedHosts()
    assert sender_problem(None, allowed) == ""
    assert sender_problem([], allowed) == NOT_DIRECT
    assert sender_problem(gr.Request(headers={"host": HOST}), allowed) == NOT_DIRECT
    request = Request({"type": "http", "headers": [(b"host", HOST.encode())]})
    assert sender_problem(gr.Request(request=request), allowed) == ""
