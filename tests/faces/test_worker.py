"""The face worker: it is replaced after a crash or an interrupted request, and ends with its parent."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from sadtalker_ext.errors import FaceError
from sadtalker_ext.faces import worker_client
from sadtalker_ext.faces.worker_client import WORKER, WorkerClient, WorkerUnavailable
from sadtalker_ext.faces.worker_protocol import WorkerProtocolError, read_message, write_message

GREY = np.full((64, 64, 3), 128, np.uint8)


def alive(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process_id}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


DEADLINE_S = 120
"""Longest wait for a process to end; long, because the machine may be busy."""


def gone(process_id):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if not alive(process_id):
            return True
        time.sleep(0.05)
    return False


def test_messages_are_unchanged():
    read_end, write_end = os.pipe()
    arrays = [np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2], np.zeros((0, 17), np.float32), np.uint8([[7]])]
    with os.fdopen(read_end, "rb") as source, os.fdopen(write_end, "wb") as sink:
        write_message(sink, {"operation": "x", "wörd": 3}, arrays)
        header, received = read_message(source)
        assert header == {"operation": "x", "wörd": 3}
        for sent, got in zip(arrays, received, strict=True):
            np.testing.assert_array_equal(sent, got)
            assert sent.dtype == got.dtype
        sink.write(b"not a message, but long enough")
        sink.flush()
        with pytest.raises(WorkerProtocolError, match="STF1"):
            read_message(source)


@pytest.mark.skipif(os.name != "posix", reason="signals and /proc")
def test_crashed_worker_is_replaced():
    before = WORKER.ask("segment", GREY)[0]
    first = WORKER.process_id
    os.kill(first, signal.SIGKILL)
    after = WORKER.ask("segment", GREY)[0]
    assert WORKER.process_id not in (first, None)
    np.testing.assert_array_equal(before, after)


def test_worker_with_an_unanswered_request_is_replaced_and_close_ends_it():
    client = WorkerClient()
    client.ask("detect", GREY, range="short")
    first = client.process_id
    client._process.busy = True  # as after a KeyboardInterrupt between request and answer
    client.ask("detect", GREY, range="short")
    second = client.process_id
    assert second != first
    client.close()
    assert client.process_id is None
    if os.name == "posix":
        assert gone(first)
        assert gone(second)


def test_a_request_that_fails_is_a_face_error_and_does_not_end_the_worker():
    WORKER.start()
    with pytest.raises(FaceError, match="sing"):
        WORKER.ask("sing", GREY)
    process = WORKER.process_id
    WORKER.ask("detect", GREY, range="short")
    assert WORKER.process_id == process


def test_last_output_of_a_worker_that_cannot_start_is_shown(monkeypatch):
    monkeypatch.setattr(worker_client, "_START", "import sys; sys.exit('out of tensors')")
    with pytest.raises(FaceError, match=r"stopped twice.*out of tensors"):
        WorkerClient().ask("detect", GREY, range="short")


def test_missing_mediapipe_is_reported_as_unavailable(monkeypatch):
    blocked = "import sys; sys.path[:] = sys.argv[2:]; sys.modules['mediapipe'] = None; "
    monkeypatch.setattr(worker_client, "_START", blocked + worker_client._START.split(";", 2)[2])
    client = WorkerClient()
    for _ in range(2):
        with pytest.raises(WorkerUnavailable, match="pip install mediapipe"):
            client.ask("detect", GREY, range="short")


def test_after_a_failed_lean_import_mediapipe_is_imported_in_full(monkeypatch):
    broken = (
        "import sys; sys.path[:] = sys.argv[2:]; import sadtalker_ext.faces.mediapipe_worker as worker; "
        "worker._STUBBED_PACKAGES = ('mediapipe', 'mediapipe.python'); worker.main(sys.argv[1])"
    )
    monkeypatch.setattr(worker_client, "_START", broken)
    client = WorkerClient()
    expected = WORKER.ask("segment", GREY)[0]
    np.testing.assert_array_equal(client.ask("segment", GREY)[0], expected)
    client.close()


def test_worker_starts_if_the_host_removed_the_package_from_the_search_path(monkeypatch):
    folder = str(worker_client._PACKAGE_FOLDER)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", folder)])
    client = WorkerClient()
    assert client.ask("segment", GREY)[0].shape == (64, 64)
    client.close()


def test_threads_share_one_worker():
    results = [None] * 6
    pictures = [np.full((48, 48, 3), 40 * index, np.uint8) for index in range(6)]
    expected = [WORKER.ask("segment", picture)[0] for picture in pictures]

    def work(index):
        results[index] = WORKER.ask("segment", pictures[index])[0]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, reference in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, reference)


@pytest.mark.skipif(os.name != "posix", reason="signals and /proc")
@pytest.mark.parametrize("end", ["pass", "import os; os.kill(os.getpid(), 9)"])
def test_worker_ends_with_its_parent(end):
    program = (
        "from sadtalker_ext.faces.worker_client import WORKER\n"
        "import numpy as np\n"
        "WORKER.ask('detect', np.zeros((64, 64, 3), np.uint8), range='short')\n"
        f"print(WORKER.process_id, flush=True)\n{end}\n"
    )
    parent = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert parent.stderr == "", "log messages of the models stay in the worker"
    assert gone(int(parent.stdout))
