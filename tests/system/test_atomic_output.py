"""Files are whole or absent, whoever else writes them and however a writer ends."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from sadtalker_ext.errors import MediaError, WeightsError
from sadtalker_ext.system import atomic_output
from sadtalker_ext.system.atomic_output import AtomicOutput, write_file, write_text

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
    """Another process that holds a half-written file; gives the process and the file's name."""
    process = subprocess.Popen([sys.executable, "-c", HOLDING, str(target)], stdout=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(autouse=True)
def sweep_each_time(monkeypatch, request):
    """Do not wait between sweeps, unless the test is about that."""
    if "large_folder" not in request.node.name:
        monkeypatch.setattr(atomic_output, "SWEEP_SHARE", 0)


def names(folder):
    return sorted(os.listdir(folder))


def test_the_target_appears_at_the_end(tmp_path):
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
def test_killed_writers_leave_nothing_under_the_name_and_are_swept_by_the_next(tmp_path):
    for _ in range(20):
        with writer(tmp_path / "a.txt") as (process, name):
            assert name in names(tmp_path)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert "a.txt" not in names(tmp_path)
    assert name in names(tmp_path)
    write_text(tmp_path / "b.txt", "next")
    assert names(tmp_path) == ["b.txt"]


def test_a_writer_that_lives_is_left_alone(tmp_path):
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
def test_a_library_that_opens_and_closes_the_file_does_not_release_it(tmp_path):
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
    """A file named as a writer of this or another machine would, unlocked, last changed so long ago."""
    tags = f"{machine or atomic_output.machine_tag()}-{start or atomic_output.start_tag()}"
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
    """An earlier start of this machine is known on Linux by the time of the present one."""
    path = leftover(tmp_path, **kind)
    write_text(tmp_path / "a.txt", "new")
    assert path.exists() == stays


@POSIX
def test_files_of_other_people_and_programs_are_never_touched(tmp_path):
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


@pytest.mark.parametrize(("letter", "count", "rest"), [("x", 251, ""), ("\u4e2d", 83, "xy"), ("\U0001f600", 62, "xyz")])
def test_names_of_exactly_255_bytes(tmp_path, letter, count, rest):
    stem = letter * count + rest
    target = tmp_path / f"{stem}.mp4"
    assert len(os.fsencode(target.name)) == 255
    write_text(target, "whole")
    assert target.read_text() == "whole"
    with pytest.raises(MediaError, match="cannot be written") as caught:
        write_text(tmp_path / f"x{stem}.mp4", "whole")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == [target.name]


@POSIX
def test_names_with_undecodable_bytes(tmp_path):
    target = tmp_path / os.fsdecode(b"\xff\xfe.txt")
    write_text(target, "whole")
    assert target.read_text() == "whole"


@POSIX
def test_a_linked_target_is_replaced_where_it_lies(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "link.txt").symlink_to("other/real.txt")
    for text in ("first", "second"):
        with AtomicOutput(tmp_path / "link.txt") as output:
            assert output.path.parent == other
            output.path.write_text(text)
        assert (tmp_path / "link.txt").is_symlink()
        assert (other / "real.txt").read_text() == text
    assert names(other) == ["real.txt"]


@POSIX
def test_links_that_lead_nowhere_or_in_circles(tmp_path):
    (tmp_path / "circle.txt").symlink_to("circle.txt")
    (tmp_path / "lost.txt").symlink_to("missing/real.txt")
    for name in ("circle.txt", "lost.txt"):
        with pytest.raises(MediaError, match=f"{name} cannot be written"):
            write_text(tmp_path / name, "text")
    assert names(tmp_path) == ["circle.txt", "lost.txt"]


@POSIX
def test_what_is_no_file_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for name, kind in [("folder", "a folder"), ("pipe", "a device or pipe"), ("null", "a device or pipe")]:
        with pytest.raises(WeightsError, match=f"{name} is {kind}"):
            write_text(tmp_path / name, "text", WeightsError)
    assert names(tmp_path) == ["folder", "null", "pipe"]
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "is full: free some space"), (errno.EDQUOT, "is full"), (errno.EIO, "cannot be written")],
)
@pytest.mark.parametrize("place", ["open", "write", "fsync", "replace"])
def test_system_errors_at_every_step_are_one_sentence(tmp_path, monkeypatch, place, code, words):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    def write(path):
        path.write_text("half")
        if place == "write":
            fail()

    if place == "open":
        monkeypatch.setattr(atomic_output, "_create", fail)
    elif place != "write":
        monkeypatch.setattr(os, place, fail)
    with pytest.raises(MediaError, match=words) as caught:
        write_file(tmp_path / "a.txt", write)
    assert str(tmp_path / "a.txt") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_other_failures_of_a_library_become_the_sentence_that_was_asked_for(tmp_path):
    def write(_path):
        raise RuntimeError("file write failed\nin a library")

    with pytest.raises(WeightsError, match=r"a\.bin cannot be written"):
        write_file(tmp_path / "a.bin", write, WeightsError, (OSError, RuntimeError))
    with pytest.raises(RuntimeError, match="file write failed"):
        write_file(tmp_path / "a.bin", write)
    assert names(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 kB; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(place)]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs the right to mount a file system")
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("may not mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_runs_full_and_another_disk(small_disk, tmp_path):
    write_text(small_disk / "a.txt", "fits")
    with pytest.raises(MediaError, match=r"disk of .*a\.txt is full"):
        write_text(small_disk / "a.txt", "x" * 300_000)
    assert (small_disk / "a.txt").read_text() == "fits"
    assert names(small_disk) == ["a.txt"]
    (tmp_path / "link.txt").symlink_to(small_disk / "b.txt")
    write_text(tmp_path / "link.txt", "over there")
    assert (small_disk / "b.txt").read_text() == "over there"


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs the right to mount a file system")
def test_a_read_only_disk(small_disk):
    (small_disk / "old.txt").write_text("old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(MediaError, match="Read-only file system"):
        write_text(small_disk / "a.txt", "text")


def test_temporary_files_have_the_usual_permissions(tmp_path):
    write_text(tmp_path / "a.txt", "text")
    (tmp_path / "b.txt").write_text("text")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_sweeping_a_large_folder_takes_little_of_the_time(tmp_path):
    """Many small files in one folder: the folder is not listed for each of them."""
    for number in range(3000):
        (tmp_path / f"{number}.npz").touch()
    listed, scan = [], os.scandir

    def counting(folder):
        listed.append(folder)
        return scan(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", counting)
        for number in range(100):
            write_text(tmp_path / f"{number}.txt", "text")
    assert 1 <= len(listed) < 50


@POSIX
def test_descriptors_are_closed(tmp_path):
    if not Path("/proc/self/fd").exists():
        pytest.skip("counts descriptors as Linux shows them")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        write_text(tmp_path / "a.txt", "text")
        with pytest.raises(ValueError, match="no"), AtomicOutput(tmp_path / "a.txt"):
            raise ValueError("no")
    assert len(os.listdir("/proc/self/fd")) == before
