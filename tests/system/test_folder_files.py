"""Files that are named in a folder of the server stay the same file, whatever happens to their names."""

import errno
import os
import threading
import time

import pytest

from sadtalker_ext.system.folder_files import FileTooLargeError, keep_file

pytestmark = pytest.mark.skipif(os.name == "nt", reason="symbolic links need administrators there")


@pytest.fixture
def place(tmp_path):
    """A folder with inner/a.wav, a secret file outside of it, and the place of the kept file."""
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.wav").write_bytes(b"public")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.wav").write_bytes(b"secret")
    return folder, folder / "inner" / "a.wav", tmp_path / "outside", tmp_path / "kept.wav"


@pytest.fixture
def other_disk(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)


def test_a_kept_file_shares_the_data_and_outlives_its_name(place):
    folder, path, _, target = place
    keep_file(path, folder, target, 0)
    assert target.samefile(path)
    path.unlink()
    assert target.read_bytes() == b"public"


def test_a_file_on_another_disk_is_copied(place, other_disk):
    folder, path, _, target = place
    keep_file(path, folder, target, 6)
    assert target.read_bytes() == b"public"
    assert not target.samefile(path)


def test_a_large_file_on_another_disk_is_refused(place, other_disk):
    folder, path, _, target = place
    with pytest.raises(FileTooLargeError):
        keep_file(path, folder, target, 5)
    assert not target.exists()


@pytest.mark.parametrize("part", ["file", "folder above", "dangling"])
def test_links_that_replaced_a_checked_path_are_not_followed(place, part):
    folder, path, outside, target = place
    path.unlink()
    if part == "folder above":
        path.parent.rmdir()
        path.parent.symlink_to(outside)
    else:
        path.symlink_to(outside / ("a.wav" if part == "file" else "none"))
    with pytest.raises(OSError, match=r".+"):
        keep_file(path, folder, target, 100)
    assert not target.exists()


@pytest.mark.parametrize("made", ["fifo", "folder", "missing"])
def test_other_kinds_of_files_are_refused_at_once(place, made):
    folder, path, _, target = place
    path.unlink()
    if made == "fifo":
        os.mkfifo(path)
    elif made == "folder":
        path.mkdir()
    with pytest.raises(OSError, match=r".+"):
        keep_file(path, folder, target, 100)
    assert not target.exists()


def test_a_file_that_is_exchanged_while_it_is_linked_is_not_used(place, monkeypatch):
    folder, path, outside, target = place
    link = os.link

    def exchange_first(*arguments, **named):
        path.unlink()
        path.symlink_to(outside / "a.wav")
        link(*arguments, **named)

    monkeypatch.setattr(os, "link", exchange_first)
    keep_file(path, folder, target, 100)
    assert not target.is_symlink()
    assert target.read_bytes() == b"public"


def test_no_exchange_at_any_moment_gives_another_file(place):
    """A thread exchanges file and link all the time; the secret file is never kept."""
    folder, path, outside, target = place
    stop, kept = threading.Event(), []
    link, plain = folder / "inner" / "link", folder / "inner" / "plain"

    def exchange():
        while not stop.is_set():
            plain.write_bytes(b"public")
            plain.replace(path)
            link.symlink_to(outside / "a.wav")
            link.replace(path)

    thread = threading.Thread(target=exchange)
    thread.start()
    tries, ends_s = 0, time.monotonic() + 30.0
    try:
        while tries < 500 or (not kept and time.monotonic() < ends_s):  # one thread may run for long before the other
            tries += 1
            try:
                keep_file(path, folder, target, 100)
            except OSError:
                continue
            kept.append(target.read_bytes())
            target.unlink()
    finally:
        stop.set()
        thread.join()
    assert kept
    assert set(kept) <= {b"public", b""}
