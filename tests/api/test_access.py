"""Each login sees its own jobs; the documentation requires the login too; CORS is granted to listed origins only."""

import re

import jsonschema
import pytest
from rest_requests import JOBS, as_base64, detail

from sadtalker_ext.system.request_guard import AllowedHosts

ME, YOU = ("me", "secret"), ("you", "other")
APP = "https://app.example.org"


def test_jobs_of_another_login_are_not_found(serve, portrait_file):
    service = serve(logins=dict([ME, YOU]))
    client, body = service.client, {"portrait": as_base64(portrait_file), "idle_s": 0.4}
    path = f"{JOBS}/{client.post(JOBS, json=body, auth=ME).json()['id']}"
    for method, url in (("GET", path), ("GET", path + "/video"), ("HEAD", path + "/video"), ("DELETE", path)):
        response = client.request(method, url, auth=YOU)
        assert response.status_code == 404
        assert method == "HEAD" or detail(response, 404).startswith("There is no job")
        assert client.request(method, url).status_code == 401
    [job] = service.queue.jobs()
    assert job.finished.wait(120)
    assert job.state == "done"
    assert client.get(path + "/video", auth=ME).status_code == 200
    assert client.delete(path, auth=ME).status_code == 200
    assert service.queue.jobs() == []


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/openapi.json"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_documentation_requires_the_login(serve, path, method):
    client = serve(logins=dict([ME])).client
    response = client.request(method, path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Basic"
    assert client.request(method, path, auth=ME).status_code == 200


def test_documentation_works_offline_and_lists_every_route(serve):
    client = serve().client
    page = client.get("/")
    assert page.url.path == client.get("/redoc").url.path == "/docs"
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(", page.text)
    assert re.findall(r'(?:src|href)="([^"]*)"', page.text) == ["openapi.json"]
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page.text
    schema = client.get("/openapi.json").json()["paths"][JOBS]["post"]["requestBody"]["content"]["application/json"]
    jsonschema.validate({"portrait": {"path": "x"}, "idle_s": 2}, schema["schema"])


def test_listed_origins_get_cors_headers_also_with_errors(serve):
    client = serve(logins=dict([ME]), allowed=AllowedHosts(origins=(APP + "/",))).client
    ask = {"Origin": APP, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
    preflight = client.options(f"{JOBS}/x", headers=ask)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, APP)
    assert "DELETE" in preflight.headers["access-control-allow-methods"]
    for auth, code in ((None, 401), (ME, 200)):
        response = client.get("/sadtalker/v1/health", headers={"Origin": APP}, auth=auth)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (code, APP)
    other = client.get("/sadtalker/v1/health", headers={"Origin": "https://other.example"}, auth=ME)
    assert other.status_code == 403
    assert "access-control-allow-origin" not in other.headers
