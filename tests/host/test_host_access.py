"""Inside the webui, inputs accept uploads only and routes answer the webui's own page, whatever its flags."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("gradio")
from fastapi import FastAPI
from fastapi.testclient import TestClient
from host_tools import ADDRESS, Processed
from stub_webui import ROOT

from sadtalker_ext.webui.host_access import allowed_hosts, is_remote, split_list

sys.path.insert(0, str(ROOT / "tests" / "webui"))
from attacks import GRADIO_3, Attacker, paths_in, payloads
from browser_pages import serve

MARK = "contents-91ab77"
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    folder = tmp_path_factory.mktemp("webui")
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    secret.write_text(MARK)
    (folder / "data").mkdir()
    server = serve(folder, Path(ROOT, "tests", "host", "stub_webui.py"), "--data", folder / "data")
    yield SimpleNamespace(folder=folder, secret=secret, attacker=Attacker(server.address))
    server.close()


def test_inputs_accept_uploads_only(webui):
    attacker = webui.attacker
    ids = {entry["id"]: str(entry["props"].get("elem_id")) for entry in attacker.config["components"]}
    tried = 0
    for index, names in attacker.functions():
        for position, name in enumerate(names):
            if "sadtalker" not in ids[name]:
                continue
            takes_files = ids[name].endswith(("_portrait", "_voice", "_voice_microphone", "_reference"))
            for payload in payloads(str(webui.secret))[:: 1 if takes_files else 5]:
                data = attacker.defaults(names)
                data[position] = payload
                answer = attacker.call(index, data)
                assert MARK.encode() not in answer
                for path in paths_in(answer):
                    assert MARK.encode() not in attacker.file(path.removeprefix("/file="))[2]
                tried += 1
    assert tried > 200
    kept = [path for path in (webui.folder / "gradio").rglob("*") if path.is_file()]
    assert [path for path in kept if MARK in path.read_text("utf-8", errors="replace")] == []


def own_events(attacker):
    """Yield index and default values of every event of the tab; not of send buttons, which the webui handles."""
    ids = {entry["id"]: str(entry["props"].get("elem_id")) for entry in attacker.config["components"]}
    for position, entry in enumerate(attacker.config["dependencies"]):
        fields = [ids[name] for name in (*entry["inputs"], *entry["outputs"])]
        if entry["backend_fn"] and fields and all(field.startswith("sadtalker_") for field in fields):
            yield entry.get("id", position) if not GRADIO_3 else position, attacker.defaults(entry["inputs"])


@pytest.mark.parametrize(
    "headers",
    [{"origin": EVIL}, {"origin": "null"}, {"host": "evil.example"}, {"sec_fetch_site": "cross-site"},
     {"host": "evil.example:80", "origin": EVIL, "sec_fetch_site": "same-origin"}],
    ids=str,
)  # fmt: skip
def test_events_run_for_the_webuis_own_page_only(webui, headers):
    attacker, tried = webui.attacker, 0
    for index, data in own_events(attacker):
        body = {"fn_index": index, "data": data, "session_hash": "abc"}
        for extra in ({}, {"request": {"headers": {"host": attacker.host}}}):
            status, _, answer = attacker.send("POST", "/run/predict", {**body, **extra}, **headers)
            assert status >= 400, index
            assert b'"data"' not in answer
        tried += 1
    assert tried >= 12


def test_events_run_for_the_webuis_own_page(webui):
    attacker = webui.attacker
    index, names = attacker.event("job_id")
    body = {"fn_index": index, "data": attacker.defaults(names), "session_hash": "abc"}
    for headers in ({}, {"origin": f"http://{attacker.host}"}, {"origin": EVIL, "sec_fetch_site": "same-origin"}):
        status, _, answer = attacker.send("POST", "/run/predict", body, **headers)
        assert (status, b'"data"' in answer) == (200, True)


def test_the_script_accepts_no_other_file(host, job_request, tmp_path, monkeypatch):
    """The webui's API passes values of a request to scripts unchecked."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    script, request = host.scripts.scripts_data[0].script_class(), job_request(0.4)
    for voice in (str(request.inputs.voice), {"name": str(request.inputs.voice), "is_file": True}, "/etc/passwd", 5):
        processed = Processed(request.inputs.portrait)
        script.postprocess(SimpleNamespace(), processed, True, voice, "starter")
        assert "has not been uploaded" in processed.comments
        assert str(request.inputs.voice) not in processed.comments
    host.shared.opts.sadtalker_api_folders = f"/nowhere, {request.inputs.voice.parent}"
    processed = Processed(request.inputs.portrait)
    script.postprocess(SimpleNamespace(), processed, True, str(request.inputs.voice), "starter")
    assert "SadTalker made" in processed.comments


def client_of(host, **flags):
    vars(host.shared.cmd_opts).update(flags)
    app = FastAPI()
    host.call("app_started", None, app)
    return TestClient(app, base_url=ADDRESS)


HEALTH, JOBS = "/sadtalker/v1/health", "/sadtalker/v1/jobs"


def test_routes_answer_the_webuis_page_and_programs(host):
    client = client_of(host)
    assert client.get(HEALTH).status_code == 200
    assert client.get(HEALTH, headers={"Origin": ADDRESS}).status_code == 200
    assert client.get(HEALTH, headers={"Host": "192.168.1.5:7860"}).status_code == 200
    for headers in ({"Origin": EVIL}, {"Origin": "null"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.post(JOBS, json={}, headers=headers)
        assert (answer.status_code, answer.json()["detail"][-1]) == (403, ".")
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.delete(f"{JOBS}/x", headers={"Origin": EVIL}).status_code == 403
    assert client.delete(f"{JOBS}/x").status_code == 404
    detail = client.get(HEALTH, headers={"Host": "evil.example"}).json()["detail"]
    assert "settings for SadTalker" in detail


@pytest.mark.parametrize(
    "flags", [{"listen": True}, {"share": True}, {"server_name": "box.lan"}, {"ngrok": "token"}], ids=str
)
def test_a_webui_open_to_other_machines_answers_any_host_name(host, flags):
    client = client_of(host, **flags)
    for name in ("box.lan:7860", "abc.gradio.live", "127.0.0.1:7860"):
        assert client.get(HEALTH, headers={"Host": name, "Origin": f"http://{name}"}).status_code == 200
        assert client.get(HEALTH, headers={"Host": name, "Origin": f"https://{name}"}).status_code in (200, 403)
        assert client.post(JOBS, json={}, headers={"Host": name, "Origin": EVIL}).status_code == 403
    assert client.get(HEALTH, headers={"Host": "a.gradio.live", "Origin": "https://a.gradio.live"}).status_code == 200


def test_origins_that_the_webui_allows_are_allowed(host):
    client = client_of(host, cors_allow_origins="https://app.example, http://other.example:81")
    for origin, code in (("https://app.example", 200), ("http://other.example:81", 200), (EVIL, 403)):
        assert client.get(HEALTH, headers={"Origin": origin}).status_code == code
    client = client_of(host, cors_allow_origins=None, cors_allow_origins_regex=r"https://.*\.example\.org")
    assert client.get(HEALTH, headers={"Origin": "https://a.example.org"}).status_code == 200
    assert client.get(HEALTH, headers={"Origin": "https://a.example.org.evil.example"}).status_code == 403
    client = client_of(host, cors_allow_origins="*")
    assert client.get(HEALTH, headers={"Origin": EVIL}).status_code == 200


def test_host_names_of_a_proxy_are_an_option(host):
    host.shared.opts.sadtalker_api_hosts = "box.lan, *.example.org"
    client = client_of(host)
    for name, code in (("box.lan", 200), ("a.example.org", 200), ("evil.example", 403)):
        assert client.get(HEALTH, headers={"Host": name}).status_code == code


def test_hosts_without_these_flags():
    assert not is_remote(SimpleNamespace())
    assert allowed_hosts(SimpleNamespace(), None).allows_host("localhost")
    assert not allowed_hosts(SimpleNamespace(), None).allows_host("evil.example")
    assert split_list(" a, ,b,") == ("a", "b")
