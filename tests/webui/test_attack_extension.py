"""Attacks on the extension inside a webui that answers every origin, by a page of another site in a real browser."""

import json
import time
from pathlib import Path

import pytest
from attacks import EVIL, GRADIO_3, MARK, Attacker
from browser_pages import ROOT, serve
from test_attack_pages import request_bodies

ATTACK = """
async ({victim, bodies, portrait}) => {
    const results = [];
    const tries = [];
    const ask = (path, options) => tries.push([path, async () => {
        const got = await fetch(victim + path, options);
        return got.type + " " + got.status + " " + await got.text();
    }]);
    for (const body of bodies) {
        for (const path of ["run/predict", "api/predict", "queue/join"]) {
            ask(path, {method: "POST", headers: {"content-type": "application/json"}, body});
            ask(path, {method: "POST", mode: "no-cors", body: new Blob([body])});
            ask(path, {method: "POST", mode: "no-cors", referrerPolicy: "no-referrer", body: new Blob([body])});
        }
        const session = JSON.parse(body).session_hash;
        ask("queue/data?session_hash=" + session, {signal: AbortSignal.timeout(3000)});
    }
    const form = new FormData();
    form.append("portrait", new Blob([Uint8Array.from(atob(portrait), (letter) => letter.charCodeAt(0))]), "p.png");
    form.append("idle_s", "1");
    ask("sadtalker/v1/jobs", {method: "POST", body: form});
    ask("sadtalker/v1/jobs", {method: "POST", mode: "no-cors", body: form});
    ask("sadtalker/v1/health", {});
    ask("sadtalker/v1/engines", {credentials: "include"});
    for (const [path, send] of tries) {
        try { results.push(path + ": " + await send()); } catch (error) { results.push(path + ": " + error.name); }
    }
    for (const body of bodies) {
        results.push("socket: " + await new Promise((done) => {
            const socket = new WebSocket(victim.replace("http", "ws") + "queue/join");
            socket.onerror = socket.onclose = () => done("closed");
            socket.onmessage = (event) => {
                const {msg} = JSON.parse(event.data);
                if (msg === "send_hash" || msg === "send_data") { socket.send(body); }
                if (msg === "process_completed") { done(event.data); }
            };
            setTimeout(() => done("no answer"), 5000);
        }));
    }
    return results;
}
"""


@pytest.fixture(scope="module")
def attacked(browser, tmp_path_factory):
    """A webui with the extension and Gradio's queue; as in ``--listen``, other origins could read its answers."""
    folder = tmp_path_factory.mktemp("webui")
    (folder / "data").mkdir()
    server = serve(folder, Path(ROOT, "tests", "host", "stub_webui.py"), "--data", folder / "data", "--queue")
    yield server
    server.close()


def script_bodies(attacked, attacker):
    """Return requests of the events of the script in txt2img, whose answers name an uploaded file."""
    ids = {entry["id"]: entry["props"].get("elem_id") or "" for entry in attacker.config["components"]}
    uploads = attacked.folder / "gradio" / "voices"
    uploads.mkdir(parents=True, exist_ok=True)
    (uploads / f"{MARK}.wav").write_bytes(b"RIFF")
    value = {"name": str(uploads / f"{MARK}.wav"), "is_file": True, "data": None}
    for index, inputs in attacker.functions():
        if inputs and ids[inputs[0]].startswith("script_txt2img_sadtalker"):
            yield {"fn_index": index, "data": [value] * len(inputs), "session_hash": f"script{index}"}


def bodies_of(attacked, attacker, inputs):
    """Return requests of a job as the page sends them, and with the webui's own headers in the body."""
    job = json.loads(request_bodies(attacked, attacker, inputs)[1])
    spoofed = {"request": {"headers": {"host": attacker.host, "origin": f"http://{attacker.host}"}}}
    script = [{**body, **more} for body in script_bodies(attacked, attacker) for more in ({}, spoofed)]
    assert len(script) == (2 if GRADIO_3 else 0)  # Gradio 4 has one input for files and the microphone
    return [json.dumps(body) for body in (job, {**job, **spoofed, "session_hash": "spoofed"}, *script)]


def assert_nothing_started(attacked, attacker, results):
    signs = ("data-busy", '"id"', "version", MARK)
    assert not [line for line in results if any(sign in line for sign in signs)], results
    health = json.loads(attacker.send("GET", "/sadtalker/v1/health")[2])
    assert (health["waiting"], health["running"]) == (0, 0)
    assert list((attacked.folder / "data").rglob("*.mp4")) == []


def encoded_portrait(inputs):
    import base64

    return base64.b64encode((inputs / "portrait.png").read_bytes()).decode()


@pytest.mark.parametrize("site", [EVIL, "http://localhost"])
def test_a_page_of_another_site_starts_nothing_in_the_webui(attacked, browser, bait, inputs, site):
    attacker = Attacker(attacked.address)
    page = browser.new_page()
    page.goto(f"{site}:{bait.server_address[1]}/")
    given = {"victim": attacked.address, "bodies": bodies_of(attacked, attacker, inputs)}
    results = page.evaluate(ATTACK, {**given, "portrait": encoded_portrait(inputs)})
    page.close()
    assert len(results) > 20
    assert_nothing_started(attacked, attacker, results)


def test_dns_rebinding_starts_nothing_in_the_webui(attacked, browser, inputs):
    """The attacker's name resolves to this machine: the browser sees one origin, the events another host name."""
    attacker = Attacker(attacked.address)
    port = attacker.host.rpartition(":")[2]
    page = browser.new_page()
    page.goto(f"{EVIL}:{port}/config")
    given = {"victim": f"{EVIL}:{port}/", "bodies": bodies_of(attacked, attacker, inputs)}
    results = page.evaluate(ATTACK, {**given, "portrait": encoded_portrait(inputs)})
    page.close()
    assert any("does not accept the host name" in line for line in results)
    assert_nothing_started(attacked, attacker, results)


def test_the_request_of_the_attack_is_valid_in_the_webui(attacked, inputs):
    """Sent by the webui's own page, the same request makes a video. Last: the tests above check that there is none."""
    attacker = Attacker(attacked.address)
    body = bodies_of(attacked, attacker, inputs)[0]
    origin = f"http://{attacker.host}"
    status, _, answer = attacker.send("POST", "/run/predict", body.encode(), origin=origin)
    assert (status, b"data-busy" in answer) == (200, True)
    until_s = time.monotonic() + 180
    while not list((attacked.folder / "data").rglob("*.mp4")):
        assert time.monotonic() < until_s
        time.sleep(0.2)
    assert GRADIO_3 or attacker.send("POST", "/queue/join", body.encode(), origin=origin)[0] == 200
