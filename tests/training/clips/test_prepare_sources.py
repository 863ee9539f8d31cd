"""Videos as sources of clips: identities, order and the held-out part."""

from __future__ import annotations

from pathlib import Path

import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.training.clips.prepare_sources import Video, find_videos, held_out, identity_of


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("v/dev/id10270/5r0dWxy17C8/00001.mp4", "v", "id10270"),
        ("h/WDA_BarackObama_001.mp4", "h", "WDA_BarackObama"),
        ("h/RD_Radio31_000.mp4", "h", "RD_Radio31"),
        ("all/HDTF/RD_Radio31_000.mp4", "all", "RD_Radio31"),
        ("p/anna/holiday.mov", "p", "anna"),
        ("p/anna/clip_001.mp4", "p", "anna"),
        ("p/bert/clip_001.mp4", "p", "bert"),
        ("p/anna_001.mp4", "p", "anna"),
        ("p/anna/2020/holiday.mov", "p", "anna"),
        ("p/my talk.mp4", "p", "my_talk"),
        ("p/my talk.mp4", "p/my talk.mp4", "my_talk"),
    ],
)
def test_identities_from_folders_and_names(tmp_path, path, source, expected):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert identity_of(file, tmp_path / source) == expected


def test_videos_are_found_once_and_counted_per_person(tmp_path):
    for name in ("a/x.mp4", "a/y.MOV", "b/z.mkv", "b/z.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = find_videos([tmp_path, tmp_path / "a" / "x.mp4"])
    assert [(v.path.name, v.identity, v.number, v.place, v.siblings) for v in found] == [
        ("x.mp4", "a", 0, 0, 2), ("y.MOV", "a", 1, 1, 2), ("z.mkv", "b", 2, 0, 1),
    ]  # fmt: skip
    with pytest.raises(MediaError, match="does not exist"):
        find_videos([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="no videos"):
        find_videos([tmp_path / "empty"])


@pytest.mark.parametrize(("siblings", "clips"), [(1, 2), (1, 7), (1, 30), (2, 3), (3, 1), (8, 2), (40, 3), (5, 20)])
def test_held_out_part_is_small(siblings, clips):
    held = [
        held_out(Video(Path("x"), "a", 0, place, siblings), clip, clips)
        for place in range(siblings)
        for clip in range(clips)
    ]
    assert 0 < sum(held) <= max(len(held) / 2, 1)
    if len(held) > 30:
        assert sum(held) < 0.2 * len(held)
    assert not held[0]
