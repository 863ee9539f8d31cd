"""Outputs are refused before the work, and folders made for a failed one are gone again."""

import re
from pathlib import Path

import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.output import check_output, free_name, output_folder


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("folder", "is a folder: name a file in it"),
        ("video.avi", "does not end in .mp4: name it video.mp4"),
        ("video", "does not end in .mp4: name it video.mp4"),
        ("source.mp4", "is an input itself"),
        ("file.txt/video.mp4", "Not a directory"),
        ("x" * 300 + ".mp4", "File name too long"),
    ],
)
def test_refused_in_one_sentence(tmp_path, name, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "source.mp4").write_bytes(b"video")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(MediaError, match=re.escape(words)):
        check_output(tmp_path / name, (tmp_path / "other.png", tmp_path / "source.mp4"))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder nobody may write to is known on Linux only")
def test_unwritable_folder_is_refused():
    with pytest.raises(MediaError, match="cannot be written"):
        check_output(Path("/proc/self/video.mp4"), ())


def test_an_existing_result_and_a_missing_folder_are_fine(tmp_path):
    (tmp_path / "old.MP4").write_bytes(b"old")
    check_output(tmp_path / "old.MP4", ())
    check_output(tmp_path / "new" / "folder" / "video.mp4", ())
    assert (tmp_path / "old.MP4").read_bytes() == b"old"
    assert not (tmp_path / "new").exists()


def test_folders_stay_after_success_and_go_after_failure(tmp_path):
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
