"""Downloads from a local server that can interrupt connections, ignore ranges and send wrong bytes."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sadtalker_ext.errors import Cancelled, WeightsError
from sadtalker_ext.weights.catalog import Checkpoint
from sadtalker_ext.weights.fetch import FetchOptions, fetch, hold_lock

CONTENT = bytes(range(256)) * 4000
ENTRY = Checkpoint("model.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "test", "a test")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range", "bytes=0-")
        server.ranges.append(wanted)
        if server.status:
            self.send_error(server.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if server.ranged else 0
        body = server.content[start:]
        self.send_response(206 if server.ranged else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        limit = server.breaks.pop(0) if server.breaks else len(body)
        self.wfile.write(body[:limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.ranges, server.breaks, server.ranged, server.status = CONTENT, [], [], True, 0
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def options(server, **more):
    return FetchOptions(mirror=f"http://127.0.0.1:{server.server_port}/files", pause_s=0.0, **more)


def test_a_download_is_complete_and_reports_progress(server, tmp_path):
    reports = []
    path = fetch(ENTRY, tmp_path / "new", options(server, report=lambda done, total: reports.append((done, total))))
    assert path.read_bytes() == CONTENT
    assert reports[-1] == (len(CONTENT), len(CONTENT))
    assert [file.name for file in path.parent.iterdir() if not file.name.startswith(".")] == ["model.bin"]


def test_an_interrupted_connection_is_resumed(server, tmp_path):
    server.breaks = [300_000, 400_000]
    assert fetch(ENTRY, tmp_path, options(server)).read_bytes() == CONTENT
    assert server.ranges == ["bytes=0-", "bytes=300000-", "bytes=700000-"]


def test_without_range_support_the_download_restarts(server, tmp_path):
    server.ranged = False
    (tmp_path / "model.bin.part").write_bytes(b"old and wrong")
    assert fetch(ENTRY, tmp_path, options(server)).read_bytes() == CONTENT


def test_cancelling_keeps_the_partial_file(server, tmp_path):
    def stop(done, _total):
        if done > 500_000:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        fetch(ENTRY, tmp_path, options(server, report=stop))
    assert not (tmp_path / "model.bin").exists()
    partial_size = (tmp_path / "model.bin.part").stat().st_size
    assert partial_size > 400_000
    assert fetch(ENTRY, tmp_path, options(server)).read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={partial_size}-"


def test_wrong_bytes_are_refused_and_deleted(server, tmp_path):
    server.content = CONTENT[::-1]
    with pytest.raises(WeightsError, match="not the published file"):
        fetch(ENTRY, tmp_path, options(server))
    assert not list(tmp_path.glob("model*"))


def test_http_errors_name_url_status_and_remedy(server, tmp_path):
    server.status = 404
    with pytest.raises(WeightsError, match=r"127.0.0.1.*404.*another mirror"):
        fetch(ENTRY, tmp_path, options(server))
    assert len(server.ranges) == 1


def test_server_errors_are_retried(server, tmp_path):
    server.status = 503
    with pytest.raises(WeightsError, match="503"):
        fetch(ENTRY, tmp_path, options(server))
    assert len(server.ranges) == 4


def test_a_refused_connection_is_reported(tmp_path):
    with pytest.raises(WeightsError, match="could not be fetched"):
        fetch(ENTRY, tmp_path, FetchOptions(mirror="http://127.0.0.1:9", pause_s=0.0))


def test_only_one_process_downloads_at_a_time(server, tmp_path):
    with hold_lock(tmp_path / ".model.bin.lock", "model.bin"), pytest.raises(WeightsError, match="another process"):
        fetch(ENTRY, tmp_path, options(server))
    assert fetch(ENTRY, tmp_path, options(server)).is_file()


def test_an_existing_file_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "model.bin").write_bytes(CONTENT)
    fetch(ENTRY, tmp_path, options(server))
    assert server.ranges == []


def test_a_full_disk_is_reported_before_the_download(server, tmp_path):
    huge = Checkpoint("model.bin", 10**18, "00" * 32, "test", "a test")
    with pytest.raises(WeightsError, match="MB free"):
        fetch(huge, tmp_path, options(server))
    assert server.ranges == []
