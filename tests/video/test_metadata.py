import json

import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.video.metadata import metadata_arguments, needs_custom_tags, read_metadata

TEXTS = [
    "AI-generated",
    json.dumps({"pose": [1.5, -2], "name": "x=1; #2 \\ 'q' \"d\""}),
    "two\nlines\n\nand = ; # \\ at the end \\",
    "日本語 ünï 😀",
    "[STREAM]\ntitle=not a section",
    ";no remark",
    " spaces around ",
    "%d %s $HOME `x` $(x) *",
    "x" * 5000,
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_read_back_unchanged(make_media, text):
    tags = {"comment": text, "description": text[::-1]}
    path = make_media("a.mp4", "color=s=64x64:d=0.1", arguments=tuple(metadata_arguments(tags)))
    read = read_metadata(path)
    assert {name: read[name] for name in tags} == tags


def test_custom_tag_names(make_media):
    tags = {"sadtalker_settings": "a=1\nb", "comment": "c"}
    assert needs_custom_tags(tags)
    assert not needs_custom_tags({"comment": "c", "description": "d"})
    arguments = (*metadata_arguments(tags), "-movflags", "+use_metadata_tags")
    read = read_metadata(make_media("a.mp4", "color=s=64x64:d=0.1", arguments=arguments))
    assert {name: read[name] for name in tags} == tags


@pytest.mark.parametrize(
    ("tags", "message"), [({"a=b": "x"}, "'a=b'"), ({"comment": "a\0b"}, "NUL"), ({"comment": "x" * 20000}, "too long")]
)
def test_invalid_tags_are_rejected(tags, message):
    with pytest.raises(MediaError, match=message):
        metadata_arguments(tags)


def test_file_that_is_not_a_video_is_rejected(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(MediaError, match=r"a\.mp4 cannot be read as a video"):
        read_metadata(tmp_path / "a.mp4")
