"""Uploads and temporary videos: nothing of a killed server remains, nothing of a running one is touched."""

import os
import signal
import subprocess
import sys
import time

import pytest
from rest_requests import JOBS, as_base64

from sadtalker_ext.pipeline.job import Limits
from sadtalker_ext.system import work_folder
from sadtalker_ext.system.work_folder import PREFIX, WorkFolder

CHILD = """
import sys
from sadtalker_ext.system.work_folder import WorkFolder
work = WorkFolder()
(work.new_job() / "portrait.png").write_bytes(b"x")
work.new_video().write_bytes(b"x")
print(work.root(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start_process(tmp_path):
    """Start a process with a work folder in the folder of the test; return it and its folder."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": str(tmp_path), "TMP": str(tmp_path), "TEMP": str(tmp_path)},
        )  # fmt: skip
        started.append(process)
        folder = tmp_path / os.path.basename(process.stdout.readline().strip())
        assert len(list(folder.iterdir())) == 3
        return process, folder

    yield start
    for process in started:
        kill(process)
        process.stdin.close()
        process.stdout.close()


def kill(process):
    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()


def test_folders_of_killed_servers_are_removed_and_those_of_running_ones_kept(start_process, tmp_path):
    killed, leftover = start_process()
    _, running = start_process()
    kill(killed)
    assert leftover.is_dir()
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / f"{PREFIX}file").write_bytes(b"x")
    if os.name == "posix":
        (tmp_path / f"{PREFIX}link").symlink_to(other)
    work_folder.sweep(tmp_path)
    assert not leftover.exists()
    assert len(list(running.iterdir())) == 3
    assert other.is_dir()
    assert (tmp_path / f"{PREFIX}file").is_file()


def test_folder_without_a_lock_is_removed_unless_it_is_new(tmp_path):
    new, old = tmp_path / f"{PREFIX}new", tmp_path / f"{PREFIX}old"
    for folder in (new, old):
        folder.mkdir()
        (folder / "x").write_bytes(b"x")
    past_s = time.time() - 2 * work_folder.NEW_S
    os.utime(old, (past_s, past_s))
    work_folder.sweep(tmp_path)
    assert (new.is_dir(), old.exists()) == (True, False)


def test_process_that_ends_removes_its_folder(start_process):
    process, folder = start_process()
    process.stdin.close()
    assert process.wait(20) == 0
    assert not folder.exists()


def test_starting_server_sweeps_and_stopping_one_removes_its_folder(serve, start_process, tmp_path):
    killed, leftover = start_process()
    kill(killed)
    scratch = tmp_path / "scratch"
    moved = leftover.rename(scratch / leftover.name)
    service = serve()
    assert not moved.exists()
    assert [path.name[: len(PREFIX)] for path in scratch.iterdir()] == [PREFIX]
    service.client.__exit__(None, None, None)
    assert list(scratch.iterdir()) == []
    service.client.__enter__()


def test_removed_folder_is_created_again(tmp_path, monkeypatch):
    monkeypatch.setattr(work_folder.tempfile, "tempdir", str(tmp_path))
    work = WorkFolder()
    first = work.root()
    assert work.root() == first
    work_folder.shutil.rmtree(first)
    assert work.new_job().parent == work.root() != first
    work.remove()
    assert list(tmp_path.iterdir()) == []


def test_results_expire_by_time_without_another_request(serve, portrait_file):
    service = serve(limits=Limits(kept_s=0.5))
    body = {"portrait": as_base64(portrait_file), "idle_s": 0.3}
    view = service.client.post(JOBS, json=body).json()
    [job] = service.queue.jobs()
    assert job.finished.wait(120)
    assert job.state == "done"
    assert job.request.output.is_file()
    until_s = time.monotonic() + 20
    while service.temporary_files():
        assert time.monotonic() < until_s
        time.sleep(0.05)
    assert service.client.get(f"{JOBS}/{view['id']}").status_code == 404
