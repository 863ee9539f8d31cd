"""``sadtalker serve`` answers programs and pages of its own origin, and only for its own host names."""

import pytest

from sadtalker_ext.system.request_guard import AllowedHosts

JOBS = "/sadtalker/v1/jobs"
ATTACKER = "http://attacker.example"


@pytest.mark.parametrize(
    "path", ["/sadtalker/v1/health", "/sadtalker/v1/engines", "/openapi.json", "/docs", "/nothing"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_other_origins_and_host_names_are_refused(serve, path, method):
    client = serve().client
    for headers in (
        {"Origin": ATTACKER}, {"Origin": "null"}, {"Host": "attacker.example"},
        {"Host": "attacker.example", "Origin": ATTACKER},
        {"Origin": ATTACKER, "Access-Control-Request-Method": "POST"},
    ):  # fmt: skip
        response = client.request(method, path, headers=headers)
        assert response.status_code == 403
        assert response.json()["detail"].endswith(".")
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_another_site_cannot_create_a_job(serve, portrait_file):
    service = serve()
    with open(portrait_file, "rb") as picture:
        for headers in ({"Origin": ATTACKER}, {"Host": "attacker.example"}, {"Sec-Fetch-Site": "cross-site"}):
            picture.seek(0)
            response = service.client.post(JOBS, files={"portrait": picture}, data={"idle_s": "1"}, headers=headers)
            assert response.status_code == 403
    assert service.queue.jobs() == []
    assert service.temporary_files() == []


def test_programs_and_pages_of_the_same_origin_are_answered(serve):
    client = serve().client
    for headers in ({}, {"Origin": "http://127.0.0.1:7870"}, {"Host": "localhost:7870"}, {"Host": "[::1]:7870"}):
        assert client.get("/sadtalker/v1/health", headers=headers).status_code == 200


def test_allowed_host_names_are_answered(serve):
    client = serve(allowed=AllowedHosts(bound="0.0.0.0", names=("videos.example.org",))).client
    for name, code in (("videos.example.org", 200), ("192.168.1.5:7870", 200), ("attacker.example", 403)):
        assert client.get("/sadtalker/v1/health", headers={"Host": name}).status_code == code
    headers = {"Origin": "https://videos.example.org"}
    assert client.get("/sadtalker/v1/health", headers=headers).status_code == 200


@pytest.mark.parametrize("command", ["ui", "serve"])
def test_allow_host_can_be_repeated(command):
    from sadtalker_ext.cli.main import build_parser

    options = build_parser().parse_args([command, "--allow-host", "a.example", "--allow-host", "b.example"])
    assert options.allow_host == ["a.example", "b.example"]
    assert build_parser().parse_args([command]).allow_host == []


def test_allow_host_reaches_the_server(monkeypatch, tmp_path):
    from sadtalker_ext.api import app
    from sadtalker_ext.cli.main import main

    seen = []
    monkeypatch.setattr(app, "serve", lambda queue, options, *_: seen.append(options.allowed))
    main(["serve", "--host", "10.0.0.5", "--allow-host", "a.example"])
    assert seen == [AllowedHosts(bound="10.0.0.5", names=("a.example",))]
