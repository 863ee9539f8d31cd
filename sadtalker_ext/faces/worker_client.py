"""Client of the MediaPipe worker process: starts, restarts and ends it, and sends requests."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from sadtalker_ext.errors import FaceError
from sadtalker_ext.faces.private_packages import private_path
from sadtalker_ext.faces.worker_protocol import Array, WorkerProtocolError, read_message, write_message

_START = (
    "import sys; sys.path[:] = sys.argv[2:]; from sadtalker_ext.faces.mediapipe_worker import main; main(sys.argv[1])"
)
LEAN, FULL = "lean", "full"
"""How the worker imports MediaPipe: see :func:`sadtalker_ext.faces.mediapipe_worker.import_solutions`."""
_UNAVAILABLE = "MediaPipe's face models cannot be used ({reason}): pip install mediapipe==0.10.9"
_LOG_TAIL_BYTES = 1500
_END_S = 2.0
_PACKAGE_FOLDER = Path(__file__).resolve().parents[2]
"""Last on the search path of the worker: a host may have removed it, and it may contain other packages."""


class WorkerUnavailable(FaceError):  # noqa: N818 - says that a provider cannot be used on this machine
    """The worker cannot run MediaPipe on this machine; another provider may still find faces."""


@dataclass
class _Process:
    """One running worker.

    ready: whether its models are open.
    busy: whether a request is unanswered; after an interrupt the streams are out of step.
    """

    child: subprocess.Popen[bytes]
    log: IO[bytes]
    owner_pid: int
    ready: bool = False
    busy: bool = False

    def usable(self) -> bool:
        return self.owner_pid == os.getpid() and not self.busy and self.child.poll() is None


class WorkerClient:
    """A worker process that is started on demand; methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process: _Process | None = None
        self._unavailable = ""
        self._import_mode = LEAN

    def start(self) -> None:
        """Start the worker without waiting for its models."""
        with self._lock:
            if self._process is None or not self._process.usable():
                self.close()
                self._process = _launch(self._import_mode)

    def ask(self, operation: str, *arrays: Array, **fields: str) -> list[Array]:
        """Return the arrays of the answer; a worker that ended is restarted once, then :class:`FaceError`."""
        with self._lock:
            try:
                return self._ask_once({"operation": operation, **fields}, arrays)
            except (WorkerProtocolError, OSError):
                self.close()
            try:
                return self._ask_once({"operation": operation, **fields}, arrays)
            except (WorkerProtocolError, OSError) as error:
                message = self._last_messages()
                self.close()
                raise FaceError(f"The face worker stopped twice at '{operation}': {message}") from error

    def close(self) -> None:
        """End the worker; the next request starts a new one."""
        with self._lock:
            process, self._process = self._process, None
            if process is None or process.owner_pid != os.getpid():
                return
            with contextlib.suppress(OSError):
                cast("BinaryIO", process.child.stdin).close()
            if process.busy:
                process.child.kill()
            try:
                process.child.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.child.kill()
                process.child.wait()
            cast("BinaryIO", process.child.stdout).close()
            process.log.close()

    @property
    def process_id(self) -> int | None:
        """Process id of the running worker, None if there is none."""
        process = self._process
        return process.child.pid if process is not None and process.child.poll() is None else None

    def _ask_once(self, header: dict[str, Any], arrays: tuple[Array, ...]) -> list[Array]:
        if self._unavailable:
            raise WorkerUnavailable(_UNAVAILABLE.format(reason=self._unavailable))
        self.start()
        process = cast("_Process", self._process)
        stdin, stdout = cast("BinaryIO", process.child.stdin), cast("BinaryIO", process.child.stdout)
        process.busy = True
        if not process.ready:
            greeting, _ = read_message(stdout)
            if "error" in greeting:
                self._use_next_import_mode(str(greeting["error"]))
                return self._ask_once(header, arrays)
            process.ready = True
        write_message(stdin, header, arrays)
        answer, results = read_message(stdout)
        process.busy = False
        if "error" in answer:
            raise FaceError(f"The face worker failed at '{header['operation']}': {answer['error']}")
        return results

    def _use_next_import_mode(self, reason: str) -> None:
        """After a failed lean start use the full import; after that MediaPipe is unavailable."""
        self.close()
        if self._import_mode == LEAN:
            self._import_mode = FULL
        else:
            self._unavailable = reason

    def _last_messages(self) -> str:
        if self._process is None:
            return "none"
        log = self._process.log
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - _LOG_TAIL_BYTES))
        return " ".join(log.read().decode(errors="replace").split()) or "none"


def _launch(import_mode: str) -> _Process:
    log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
    child = subprocess.Popen(
        [sys.executable, "-c", _START, import_mode, *private_path(), *sys.path, str(_PACKAGE_FOLDER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    return _Process(child, log, os.getpid())


WORKER = WorkerClient()
"""The worker of this process, shared by every caller."""

atexit.register(WORKER.close)


def start_worker() -> None:
    """Start the face worker early, so that it is ready when the first picture has been read."""
    WORKER.start()
