"""``sadtalker ui --share``: Gradio's relay is asked for an address, and the page answers under its name."""

import http.client
import threading

import pytest
from gradio import networking

from sadtalker_ext.pipeline.job import Host
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.webui import standalone
from sadtalker_ext.webui.standalone import PageOptions, build_page, launch

NAME = "0123456789abcdef.gradio.live"


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Builds and launches a page; it and its queue are closed at the end."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    queue, servers = JobQueue(Host()), []

    def start(**options):
        page_options = PageOptions("127.0.0.1", 0, tmp_path / "videos", **options)
        servers.append(launch(build_page(queue, page_options), page_options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
    queue.close()


def status(port, host):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/", headers={"Host": host})
    return connection.getresponse().status


def wait_for_the_relay():
    for thread in threading.enumerate():
        if thread.name == "sadtalker-share":
            thread.join(30)


def test_the_page_answers_under_the_public_name(page, monkeypatch, capsys):
    asked = []

    def setup_tunnel(local_host, local_port, share_token, share_server_address=None):
        asked.append((local_host, local_port, len(share_token) >= 32))
        return f"https://{NAME}"

    monkeypatch.setattr(networking, "setup_tunnel", setup_tunnel)
    server = page(share=True)
    wait_for_the_relay()
    assert asked == [("127.0.0.1", server.port, True)]
    assert f"https://{NAME}" in capsys.readouterr().err
    assert [status(server.port, host) for host in (NAME, "localhost", "other.gradio.live")] == [200, 200, 403]


def test_without_share_no_relay_is_asked(page, monkeypatch):
    monkeypatch.delattr(networking, "setup_tunnel")
    server = page()
    assert [status(server.port, host) for host in ("localhost", NAME)] == [200, 403]


def test_without_a_relay_the_page_continues_locally(page, monkeypatch, capsys):
    asked, refused = threading.Event(), threading.Event()

    def setup_tunnel(local_host, local_port, share_token, share_server_address=None):
        asked.set()
        refused.wait(30)
        try:
            raise OSError("[Errno -2] Name or service not known")
        except OSError as e:
            raise RuntimeError(f"HTTPSConnectionPool(host='api.gradio.app', port=443): Max retries ({e})") from e

    monkeypatch.setattr(networking, "setup_tunnel", setup_tunnel)
    server = page(share=True)
    assert asked.wait(30)
    assert capsys.readouterr().err == f"SadTalker is at {server.address}\n"
    assert status(server.port, "localhost") == 200, "while the relay does not answer"
    refused.set()
    wait_for_the_relay()
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "no public address" in message
    assert "([Errno -2] Name or service not known)" in message
    assert message.endswith(f"continues without one at {server.address}\n")
    assert [status(server.port, host) for host in ("localhost", NAME)] == [200, 403]


def test_a_shared_page_does_not_open_folders_of_this_machine(tmp_path):
    assert PageOptions("127.0.0.1", 0, tmp_path).local
    assert not PageOptions("127.0.0.1", 0, tmp_path, share=True).local
    assert not PageOptions("192.0.2.1", 0, tmp_path).local
    assert standalone.host_name(f"https://{NAME}/") == NAME
