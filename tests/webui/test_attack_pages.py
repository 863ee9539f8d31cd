"""Attacks on a real server by a page of another site in a real browser."""

import json
import time

import pytest
from attacks import EVIL, GRADIO_3, assert_nothing_kept, picture_value, stored

ATTACK = """
async ({victim, bodies, secret}) => {
    const results = [];
    const text = async (answer) => {
        const got = await answer;
        return got.type + " " + got.status + " " + await got.text();
    };
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
        try { results.push(path + ": " + await send()); } catch (error) { results.push(path + ": " + error.name); }
    }
    const socket = await new Promise((done) => {
        const made = new WebSocket(victim.replace("http", "ws") + "queue/join");
        made.onopen = () => done("open");
        made.onerror = () => done("refused");
    });
    results.push("socket: " + socket);
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts allow-forms";
    frame.srcdoc = `<form method=post enctype=text/plain action="${victim}run/predict">` +
        "<input name='{&quot;fn_index&quot;:2,&quot;data&quot;:[&quot;' value='&quot;]}'></form>" +
        "<script>document.forms[0].submit()</" + "script>";
    document.body.append(frame);
    await new Promise((done) => setTimeout(done, 1500));
    return results;
}
"""


def request_bodies(attacked, attacker, inputs):
    """Bodies of requests: the published attack, and a valid request of a job."""
    index, names = attacker.event("new_job_id", "portrait", "voice", "idle", "reference")
    data = attacker.defaults(names)
    data[1] = picture_value(inputs, attacker.upload("portrait.png", (inputs / "portrait.png").read_bytes()))
    data[3], data[7] = 1, "silent"
    session = {"session_hash": "a1b2c3"}
    attack = {"fn_index": 2, "data": [{"name": str(attacked.folder / "secret.txt"), "is_file": True, "data": None}]}
    return [json.dumps(attack | session), json.dumps({"fn_index": index, "data": data, **session})]


def active_jobs(attacker):
    """Answer with the active jobs that the page shows when it opens."""
    ids = {entry["id"]: entry["props"].get("elem_id") for entry in attacker.config["components"]}
    found = [
        attacker.call(entry["id"] if not GRADIO_3 else position, ["starter"])
        for position, entry in enumerate(attacker.config["dependencies"])
        if [ids[name] for name in entry["outputs"][:2]] == ["sadtalker_job_id", "sadtalker_progress"]
        and len(entry["inputs"]) == 1
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("site", [EVIL, "http://localhost", "http://127.0.0.1"])
def test_a_page_of_another_site_reads_and_starts_nothing(attacked, attacker, browser, bait, inputs, site):
    bodies = request_bodies(attacked, attacker, inputs)
    before = stored(attacked)
    page = browser.new_page()
    page.goto(f"{site}:{bait.server_address[1]}/")
    assert page.title() == "other site"
    secret = str(attacked.folder / "secret.txt")
    results = page.evaluate(ATTACK, {"victim": attacked.address, "bodies": bodies, "secret": secret})
    page.close()
    assert results[-1] == "socket: refused"
    assert len(results) > 30
    for line in results[:-1]:
        assert line.endswith((": TypeError", ": opaque 0 ")), line
    assert b"data-busy" not in active_jobs(attacker)
    assert_nothing_kept(attacked, before)


def test_dns_rebinding_reads_and_starts_nothing(attacked, attacker, browser, bait, inputs):
    """DNS rebinding: the attacker's name resolves to this machine, so the browser sees the same origin."""
    port, before = attacker.host.rpartition(":")[2], stored(attacked)
    page = browser.new_page()
    for path in ("", "config", f"file={attacked.folder}/secret.txt"):
        answer = page.goto(f"{EVIL}:{port}/{path}")
        assert answer.status == 403
        assert "does not accept the host name" in page.inner_text("body")
    (line,) = page.evaluate(
        """async (body) => {
            const headers = {"content-type": "application/json"};
            const got = await fetch("/run/predict", {method: "POST", headers, body});
            return [got.status + " " + await got.text()];
        }""",
        request_bodies(attacked, attacker, inputs)[0],
    )
    assert line.startswith("403 ")
    page.close()
    assert stored(attacked) - before <= {path for path in stored(attacked) if path.name == "portrait.png"}


def test_the_request_of_the_attack_is_valid(attacked, attacker, inputs):
    """Sent by the server's own page, the same request makes a video. Last: other tests check that there is none."""
    body = request_bodies(attacked, attacker, inputs)[1]
    status, _, answer = attacker.send("POST", "/run/predict", body.encode(), origin=f"http://{attacker.host}")
    assert status == 200
    assert b"data-busy" in answer
    until_s = time.monotonic() + 180
    while not list((attacked.folder / "videos").glob("*/*.mp4")):
        assert time.monotonic() < until_s
        time.sleep(0.2)
