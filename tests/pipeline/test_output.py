"""Outputs that cannot be written are refused before the work; folders created for a failed one are removed."""

import os
import re
from pathlib import Path

import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.batch import plan
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.output import check_output, dated_output, free_name, output_folder, short_stem


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "is a folder"),
        ("video.avi", "does not end in .mp4"),
        ("video", "does not end in .mp4"),
        ("source.mp4", "is also an input"),
        ("file.txt/video.mp4", "Not a directory"),
        ("x" * 300 + ".mp4", "File name too long"),
    ],
)
def test_output_that_cannot_be_written_is_refused(tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "source.mp4").write_bytes(b"video")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(MediaError, match=re.escape(message)):
        check_output(tmp_path / name, (tmp_path / "other.png", tmp_path / "source.mp4"))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that is read-only for every user")
def test_unwritable_folder_is_refused():
    with pytest.raises(MediaError, match="cannot be written"):
        check_output(Path("/proc/self/video.mp4"), ())


def test_existing_results_and_missing_folders_are_accepted(tmp_path):
    (tmp_path / "old.MP4").write_bytes(b"old")
    check_output(tmp_path / "old.MP4", ())
    check_output(tmp_path / "new" / "folder" / "video.mp4", ())
    assert (tmp_path / "old.MP4").read_bytes() == b"old"
    assert not (tmp_path / "new").exists()


def test_created_folders_are_removed_after_a_failure(tmp_path):
    with output_folder(tmp_path / "a" / "b" / "video.mp4"):
        assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "a" / "c" / "d" / "video.mp4"):
        raise KeyboardInterrupt
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b"]


def test_free_names_never_repeat(tmp_path):
    (tmp_path / "x_y.mp4").write_bytes(b"")
    taken = {tmp_path / "x_y_2.mp4"}
    assert free_name(tmp_path, "x_y", taken) == tmp_path / "x_y_3.mp4"
    assert free_name(tmp_path, "z", taken) == tmp_path / "z.mp4"


POSIX = pytest.mark.skipif(os.name == "nt", reason="needs symbolic links and devices")


@pytest.mark.parametrize("folder", ["", "new/folder/"])
@pytest.mark.parametrize("letter", ["x", "\u4e2d", "\U0001f600"])
def test_file_names_are_limited_in_bytes(tmp_path, folder, letter):
    """The limit is 255 bytes for any characters, also in folders that do not exist yet."""
    size = len(letter.encode())
    check_output(tmp_path / folder / f"{letter * (251 // size)}.mp4", ())
    with pytest.raises(MediaError, match="File name too long"):
        check_output(tmp_path / folder / f"{letter * (251 // size + 1)}.mp4", ())
    with pytest.raises(MediaError, match="File name too long"):
        check_output(tmp_path / "new" / (letter * (255 // size + 1)) / "a.mp4", ())


def test_folder_named_like_the_output_does_not_matter_elsewhere(tmp_path):
    (tmp_path / "a.mp4").mkdir()
    check_output(tmp_path / "new" / "a.mp4", ())


@POSIX
def test_links_are_followed_and_devices_refused(tmp_path):
    (tmp_path / "other").mkdir()
    links = {"good": "other/real.mp4", "broken": "missing/real.mp4", "loop": "loop.mp4", "null": "/dev/null"}
    for name, target in links.items():
        (tmp_path / f"{name}.mp4").symlink_to(target)
    check_output(tmp_path / "good.mp4", ())
    for name, message in [("broken", "cannot be written"), ("loop", "cannot be written"), ("null", "a device or pipe")]:
        with pytest.raises(MediaError, match=message) as caught:
            check_output(tmp_path / f"{name}.mp4", ())
        assert f"{name}.mp4" in str(caught.value)
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize("letter", ["x", "\u4e2d", "\U0001f600"])
def test_names_of_two_long_stems_fit(tmp_path, letter):
    inputs = [Inputs(Path(letter * 200 + ".png"), Path(letter * 200 + ".wav"))] * 3
    jobs = plan(inputs, tmp_path)
    assert len({job.output for job in jobs}) == 3
    for job in jobs:
        assert len(os.fsencode(job.output.name)) <= 255
        check_output(job.output, ())
    assert len(os.fsencode(dated_output(tmp_path, letter * 300).name)) <= 255
    assert short_stem("x" * 300) == "x" * 80
