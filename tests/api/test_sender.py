"""``sadtalker serve`` answers programs and pages of its own origin, under its own names."""

import pytest

from sadtalker_ext.system.request_guard import AllowedHosts

JOBS = "/sadtalker/v1/jobs"
EVIL = "http://evil.example"


@pytest.mark.parametrize(
    "path", ["/sadtalker/v1/health", "/sadtalker/v1/engines", "/openapi.json", "/docs", "/nothing"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_other_origins_and_names_are_refused(serve, path, method):
    client = serve().client
    for headers in (
        {"Origin": EVIL}, {"Origin": "null"}, {"Host": "evil.example"}, {"Host": "evil.example", "Origin": EVIL},
        {"Origin": EVIL, "Access-Control-Request-Method": "POST"},
    ):  # fmt: skip
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["detail"].endswith(".")
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_job_starts_for_another_site(serve, portrait_file):
    service = serve()
    with open(portrait_file, "rb") as picture:
        for headers in ({"Origin": EVIL}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            picture.seek(0)
            answer = service.client.post(JOBS, files={"portrait": picture}, data={"idle_s": "1"}, headers=headers)
            assert answer.status_code == 403
    assert service.workshop.jobs() == []
    assert service.left_behind() == []


def test_programs_and_the_own_page_are_answered(serve):
    client = serve().client
    for headers in ({}, {"Origin": "http://127.0.0.1:7870"}, {"Host": "localhost:7870"}, {"Host": "[::1]:7870"}):
        assert client.get("/sadtalker/v1/health", headers=headers).status_code == 200


def test_the_names_that_the_command_line_allows(serve):
    client = serve(allowed=AllowedHosts(bound="0.0.0.0", names=("films.example.org",))).client
    for name, code in (("films.example.org", 200), ("192.168.1.5:7870", 200), ("evil.example", 403)):
        assert client.get("/sadtalker/v1/health", headers={"Host": name}).status_code == code
    headers = {"Origin": "https://films.example.org"}
    assert client.get("/sadtalker/v1/health", headers=headers).status_code == 200


@pytest.mark.parametrize("command", ["ui", "serve"])
def test_the_flag(command):
    from sadtalker_ext.cli.main import build_parser

    options = build_parser().parse_args([command, "--allow-host", "a.example", "--allow-host", "b.example"])
    assert options.allow_host == ["a.example", "b.example"]
    assert build_parser().parse_args([command]).allow_host == []


def test_the_flag_reaches_the_service(monkeypatch, tmp_path):
    from sadtalker_ext.api import app as service
    from sadtalker_ext.cli.main import main

    seen = []
    monkeypatch.setattr(service, "serve", lambda workshop, doors, *address: seen.append(doors.allowed))
    main(["serve", "--host", "10.0.0.5", "--allow-host", "a.example"])
    assert seen == [AllowedHosts(bound="10.0.0.5", names=("a.example",))]
