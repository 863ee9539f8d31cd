"""Atomic output files with several writers, killed writers and errors."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from sadtalker_ext.system import atomic_output
from sadtalker_ext.system.atomic_output import AtomicOutput, write_text

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals, links and permissions")
HOLDING = """
import sys, time
from pathlib import Path
from sadtalker_ext.system.atomic_output import AtomicOutput
output = AtomicOutput(Path(sys.argv[1]))
output.path.write_bytes(bytes(100_000))
print(output.path.name, flush=True)
time.sleep(600)
"""


@contextmanager
def writer(target):
    """Start a process that keeps a half-written file open; yield the process and the name of the file."""
    process = subprocess.Popen([sys.executable, "-c", HOLDING, str(target)], stdout=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(autouse=True)
def sweep_each_time(monkeypatch, request):
    """Remove old temporary files at every write, except in the test of the time between two removals."""
    if "large_folder" not in request.node.name:
        monkeypatch.setattr(atomic_output, "SWEEP_SHARE", 0)


def names(folder):
    return sorted(os.listdir(folder))


def test_target_appears_at_the_end(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with AtomicOutput(target) as output:
        output.path.write_text("new")
        assert target.read_text() == "old"
        assert output.path.parent == tmp_path
    assert (target.read_text(), names(tmp_path)) == ("new", ["a.txt"])


def fail_half_way(path, error):
    path.write_text("half")
    raise error


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_errors_and_interrupts_leave_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), AtomicOutput(target) as output:
        fail_half_way(output.path, error)
    assert (target.read_text(), names(tmp_path)) == ("old", ["a.txt"])


def test_two_outputs_of_one_target_never_share_a_file(tmp_path):
    target = tmp_path / "a.txt"
    with AtomicOutput(target) as first:
        with AtomicOutput(target) as second:
            first.path.write_text("first")
            second.path.write_text("second")
        assert target.read_text() == "second"
    assert (target.read_text(), names(tmp_path)) == ("first", ["a.txt"])


def write_in_turn(target, letter, rounds):
    for _ in range(rounds):
        write_text(target, letter * 200_000)


def test_many_processes_with_one_target_all_succeed(tmp_path):
    target = tmp_path / "a.txt"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_in_turn, args=(target, letter, 40)) for letter in "abcd"]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        if target.exists():
            text = target.read_text()
            assert text == text[0] * 200_000
    assert [worker.exitcode for worker in workers] == [0] * 4
    for worker in workers:
        worker.join()
    assert names(tmp_path) == ["a.txt"]


@POSIX
def test_killed_writers_leave_no_target_and_are_swept_by_the_next(tmp_path):
    for _ in range(20):
        with writer(tmp_path / "a.txt") as (process, name):
            assert name in names(tmp_path)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert "a.txt" not in names(tmp_path)
    assert name in names(tmp_path)
    write_text(tmp_path / "b.txt", "next")
    assert names(tmp_path) == ["b.txt"]


def test_file_of_a_running_writer_is_kept(tmp_path):
    with writer(tmp_path / "a.txt") as (_, theirs), AtomicOutput(tmp_path / "b.txt") as ours:
        for round_s in (0.0, 0.05, 0.1):
            time.sleep(round_s)
            os.utime(tmp_path / theirs, (0, 0))  # a writer may be stopped for years
            os.utime(ours.path, (0, 0))
            write_text(tmp_path / "c.txt", "other")
        assert {theirs, ours.path.name} <= set(names(tmp_path))
    assert theirs in names(tmp_path)
    time.sleep(0.1)
    write_text(tmp_path / "c.txt", "other")
    assert names(tmp_path) == ["b.txt", "c.txt"]


@POSIX
def test_opening_and_closing_the_file_does_not_release_the_lock(tmp_path):
    with AtomicOutput(tmp_path / "a.txt") as output:
        output.path.write_text("written by name, opened and closed")
        write_again = [sys.executable, "-c", WRITE_ANOTHER, str(tmp_path / "b.txt")]
        subprocess.run(write_again, check=True)
        assert output.path.exists()


WRITE_ANOTHER = """
import sys
from pathlib import Path
from sadtalker_ext.system.atomic_output import write_text
write_text(Path(sys.argv[1]), "other")
"""


def leftover(folder, machine="", start="", age_s=0.0, digits="0" * 12):
    """Write an unlocked temporary file of this or another machine that was last changed ``age_s`` seconds ago."""
    tags = f"{machine or atomic_output.machine_tag()}-{start or atomic_output.boot_tag()}"
    path = folder / f".sadtalker-{tags}-{digits}.part"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


YEARS_S = 40 * 365 * 86400.0


@pytest.mark.parametrize(
    ("kind", "stays"),
    [
        ({}, False),
        ({"machine": "00000000"}, True),
        ({"machine": "00000000", "age_s": YEARS_S}, True),
        ({"machine": "00000000", "start": "11111111", "age_s": YEARS_S}, True),
        ({"start": "11111111"}, True),
        ({"start": "11111111", "age_s": YEARS_S}, sys.platform != "linux"),
    ],
)
def test_only_files_of_this_machine_are_swept(tmp_path, kind, stays):
    """On Linux, the boot time shows which files were written before the last restart of this machine."""
    path = leftover(tmp_path, **kind)
    write_text(tmp_path / "a.txt", "new")
    assert path.exists() == stays


@POSIX
def test_files_of_other_users_and_programs_are_never_touched(tmp_path):
    real = leftover(tmp_path)
    own = [real.name + suffix for suffix in ("", ".mp4", "~")]
    tags = real.name.removeprefix(".sadtalker-").removesuffix("-000000000000.part")
    own += ["a.mp4.part", ".sadtalker-notes.part", f".sadtalker-{tags}-mynotes.part"]
    own += [f"sadtalker-{tags}-{'1' * 12}.part"]
    for name in own[1:]:
        (tmp_path / name).write_text("mine")
    (tmp_path / "precious").write_text("mine")
    link = tmp_path / f".sadtalker-{tags}-{'2' * 12}.part"
    link.symlink_to("precious")
    folder = tmp_path / f".sadtalker-{tags}-{'3' * 12}.part"
    folder.mkdir()
    os.mkfifo(tmp_path / f".sadtalker-{tags}-{'4' * 12}.part")
    before = set(names(tmp_path)) - {real.name}
    write_text(tmp_path / "new.txt", "new")
    assert set(names(tmp_path)) == before | {"new.txt"}
    assert (tmp_path / "precious").read_text() == "mine"


def test_temporary_files_of_running_threads_survive_each_other(tmp_path):
    with AtomicOutput(tmp_path / "a.txt") as first:
        first.path.write_text("a")
        for number in range(50):
            write_text(tmp_path / f"{number}.txt", "b")
            time.sleep(0.002)
        assert first.path.exists()
    assert (tmp_path / "a.txt").read_text() == "a"
