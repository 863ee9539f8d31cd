"""Comments in videos that are not records of this program are refused with a message."""

import json

import pytest

from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.pipeline import result_metadata
from sadtalker_ext.pipeline.result_metadata import Record, read_record
from sadtalker_ext.settings import Settings
from sadtalker_ext.video import metadata


@pytest.fixture
def read_comment(monkeypatch, tmp_path):
    """Return the record of a video with the given comment."""

    def read(comment):
        monkeypatch.setattr(metadata, "read_metadata", lambda _: {"comment": comment})
        return read_record(tmp_path / "a.mp4")

    return read


def test_a_record_is_read(read_comment):
    record = Record(Settings(seed=7))
    assert read_comment(record.tags()["comment"]) == record


@pytest.mark.parametrize(
    "comment",
    [
        "", "a comment", "5", "null", "[]", "{}", '{"settings": {}}', "[" * 100_000,
        '{"version": "1", "settings": ' + '{"a":' * 50_000 + "1" + "}" * 50_001,
        *(json.dumps({"version": "1", "settings": value}) for value in (5, None, "face", True, [], [["face", "1"]])),
        '{"version": "1", "settings": {"seed": ' + "9" * 5000 + "}}",
    ],
    ids=lambda comment: comment[:40],
)  # fmt: skip
def test_other_comments_are_refused(read_comment, comment):
    with pytest.raises(MediaError, match=r"a\.mp4 contains no settings"):
        read_comment(comment)


def test_invalid_settings_are_named(read_comment):
    with pytest.raises(SettingsError, match="The setting face is '\N{SUPERSCRIPT TWO}'"):
        read_comment(json.dumps({"version": "1", "settings": {"face": "\N{SUPERSCRIPT TWO}"}}))
    with pytest.raises(SettingsError, match="no setting named colour"):
        read_comment(json.dumps({"version": result_metadata.PROGRAM, "settings": {"colour": 1}}))
