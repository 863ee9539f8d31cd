"""Child processes end when their parent ends, for whatever reason."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from sadtalker_ext.system import child_process, windows_job
from sadtalker_ext.system.child_process import ChildProcess

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
KILLS = 20
GONE_S = 2.0

READER = """
import threading
from sadtalker_ext.audio.speech import open_speech
def run(path):
    ready()
    while True:
        thread = threading.Thread(target=open_speech, args=(path,))
        thread.start()
        thread.join()
"""
IDLE_READER = """
import time
from sadtalker_ext.ffmpeg import Ffmpeg, file_input
from pathlib import Path
def run(path):
    with Ffmpeg([*file_input(Path(path)), "-f", "f32le", "-"]) as process:
        process.stdout.read(4)
        ready()
        time.sleep(600)
"""
WRITER = """
import time
import numpy as np
from pathlib import Path
from sadtalker_ext.video.write import VideoSpec, write_video
def frames():
    ready()
    while True:
        yield np.zeros((64, 64, 3), np.uint8)
        time.sleep(0.01)
def run(path):
    write_video(frames(), path + ".mp4", VideoSpec(frame_count=180000, audio=Path(path)))
"""
PARENTS = """
import os, signal, sys
def ready():
    print(os.getpid(), flush=True)
{}
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        run(line.strip())
"""
"""Starts a process that runs the given code for each path on its input; they begin in milliseconds, with all imports.

The process writes its number when ffmpeg runs or is about to be started.
"""
STUCK = """
import sys, time
from sadtalker_ext.system.child_process import ChildProcess
child = ChildProcess([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]], feed=len(sys.argv) > 2)
print("ready", flush=True)
time.sleep(600)
"""


def descendants(mark):
    """Return the running processes whose command line contains ``mark``."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and mark in " ".join(process.cmdline()):
                found.append(process)
    return found


def gone(mark):
    until_s = time.monotonic() + GONE_S
    while left := descendants(mark):
        if time.monotonic() > until_s:
            break
        time.sleep(0.02)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return left == []


@contextlib.contextmanager
def parent(source, *arguments):
    with subprocess.Popen([sys.executable, "-c", source, *map(str, arguments)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def long_sound(tmp_path):
    """Return a WAV file with ten minutes of silence."""
    soundfile.write(tmp_path / "long.wav", np.zeros(600 * 8000, np.int16), 8000)
    return tmp_path / "long.wav"


@POSIX
@pytest.mark.parametrize("source", [READER, IDLE_READER, WRITER], ids=["reading", "idle", "writing"])
def test_no_ffmpeg_outlives_a_killed_parent(long_sound, source):
    orphans = 0
    with subprocess.Popen(
        [sys.executable, "-c", PARENTS.format(source)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parents:
        for turn in range(KILLS):
            print(long_sound, file=parents.stdin, flush=True)
            process = int(parents.stdout.readline())
            time.sleep(0.013 * turn)
            os.kill(process, signal.SIGKILL)
            orphans += not gone(str(long_sound))
        parents.stdin.close()
    assert orphans == 0


@POSIX
@pytest.mark.parametrize("feed", [[], ["feed"]], ids=["read", "fed"])
def test_child_that_reads_no_pipe_ends_with_its_parent(tmp_path, feed):
    with parent(STUCK, tmp_path, *feed) as process:
        assert descendants(str(tmp_path))
        process.send_signal(signal.SIGKILL)
    assert gone(str(tmp_path))


@POSIX
def test_child_outlives_the_thread_that_started_it():
    started = []
    thread = threading.Thread(target=lambda: started.append(ChildProcess(["sleep", "600"], feed=False)))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert started[0].running()
    started[0].close()
    assert not started[0].running()


@POSIX
def test_exit_code_input_and_output_are_those_of_the_program():
    child = ChildProcess(["sh", "-c", "echo out; echo words >&2; exit 7"], feed=False)
    assert (child.stdout.read(), child.stderr.read(), child.wait()) == (b"out\n", b"words\n", 7)
    child.close()
    fed = ChildProcess(["sh", "-c", "cat >&2; exit 3"], feed=True)
    fed.stdin.write(b"given")
    fed.stdin.close()
    assert (fed.stderr.read(), fed.wait()) == (b"given", 3)
    fed.close()


@POSIX
def test_writer_gets_an_error_after_the_program_has_ended():
    child = ChildProcess(["true"], feed=True)
    child.wait()
    with pytest.raises(BrokenPipeError):
        child.stdin.write(bytes(1 << 20))
    child.close()


@POSIX
def test_arguments_are_never_parsed_by_the_shell(tmp_path):
    odd = ["$(touch a)", "`touch b`", "; touch c", "'", '"', "-x", "", "two words", "*", "日本", "\n"]
    child = ChildProcess(["printf", "%s|", *odd], feed=False)
    assert child.stdout.read().decode() == "|".join([*odd, ""])
    child.close()
    assert list(tmp_path.iterdir()) == []


@POSIX
def test_many_children_leave_neither_processes_nor_file_descriptors():
    before, others = psutil.Process().num_fds(), psutil.Process().children(recursive=True)
    for feed in (False, True) * 10:
        ChildProcess(["sleep", "600"], feed=feed).close()
    child = ChildProcess(["true"], feed=False)
    child.wait()
    child.close()
    child.stderr.close()
    assert set(psutil.Process().children(recursive=True)) <= set(others)
    assert psutil.Process().num_fds() <= before + 1


@POSIX
def test_killed_watcher_does_not_keep_the_program_alive():
    others = psutil.Process().children()
    child = ChildProcess(["sleep", "600"], feed=False)
    (shell,) = set(psutil.Process().children()) - set(others)
    until_s = time.monotonic() + 5
    while sorted(process.name() == "sleep" for process in shell.children()) != [False, True]:
        assert time.monotonic() < until_s  # a forked process has the shell's name until it executes its program
        time.sleep(0.01)
    (watcher,) = [process for process in shell.children() if process.name() != "sleep"]
    watcher.kill()
    child.close()
    assert not child.running()


def test_without_a_shell_children_are_started_directly(monkeypatch):
    monkeypatch.setattr(child_process, "_shell", lambda: None)
    child = ChildProcess([sys.executable, "-c", "print(7)"], feed=False)
    assert (child.stdout.read().strip(), child.wait()) == (b"7", 0)
    child.close()
    child = ChildProcess([sys.executable, "-c", "import time; time.sleep(600)"], feed=False)
    child.close()
    assert not child.running()


@pytest.mark.skipif(sys.maxsize < 2**32, reason="the size is that on 64-bit Windows")
def test_job_limits_have_the_layout_of_windows():
    """Compare with sizeof(JOBOBJECT_EXTENDED_LIMIT_INFORMATION) and the offset of LimitFlags on 64-bit Windows."""
    import ctypes

    assert ctypes.sizeof(windows_job.ExtendedLimits) == 144
    assert windows_job.ExtendedLimits._fields_[0][1].LimitFlags.offset == 16


@pytest.mark.skipif(sys.platform != "win32", reason="needs Windows")
def test_windows_ends_the_child_of_a_killed_parent(tmp_path):
    with parent(STUCK, tmp_path) as process:
        process.kill()
    assert gone(str(Path(tmp_path)))
