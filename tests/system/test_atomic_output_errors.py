"""Names, links, disks and errors of files that are written whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sadtalker_ext.errors import MediaError, WeightsError
from sadtalker_ext.system import atomic_output
from sadtalker_ext.system.atomic_output import AtomicOutput, write_file, write_text

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX links and devices")


def names(folder):
    return sorted(os.listdir(folder))


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
def test_linked_target_is_replaced_at_its_own_place(tmp_path):
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
def test_broken_and_circular_links_are_rejected(tmp_path):
    (tmp_path / "circle.txt").symlink_to("circle.txt")
    (tmp_path / "lost.txt").symlink_to("missing/real.txt")
    for name in ("circle.txt", "lost.txt"):
        with pytest.raises(MediaError, match=f"{name} cannot be written"):
            write_text(tmp_path / name, "text")
    assert names(tmp_path) == ["circle.txt", "lost.txt"]


@POSIX
def test_targets_that_are_not_files_are_not_replaced(tmp_path):
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


def test_listed_exceptions_are_raised_as_the_given_error(tmp_path):
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


def test_disk_that_becomes_full_and_another_disk(small_disk, tmp_path):
    write_text(small_disk / "a.txt", "fits")
    with pytest.raises(MediaError, match=r"disk of .*a\.txt is full"):
        write_text(small_disk / "a.txt", "x" * 300_000)
    assert (small_disk / "a.txt").read_text() == "fits"
    assert names(small_disk) == ["a.txt"]
    (tmp_path / "link.txt").symlink_to(small_disk / "b.txt")
    write_text(tmp_path / "link.txt", "over there")
    assert (small_disk / "b.txt").read_text() == "over there"


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs the right to mount a file system")
def test_read_only_disk(small_disk):
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


def test_errors_show_the_display_name_instead_of_the_path(tmp_path):
    target = tmp_path / "missing" / "o.txt"
    with pytest.raises(MediaError) as caught:
        write_text(target, "text")
    message = caught.value.describe({target: "me.txt"})
    assert message.startswith("The output me.txt cannot be written")
    assert str(tmp_path) not in message
