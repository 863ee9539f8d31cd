"""Settings in every form in which users give them: flags, JSON files, and the comment of an mp4 file."""

import json
import struct

import pytest
from fuzz_cases import check_message, property_of
from fuzz_values import SPECS, as_json, broken_json, names, settings, texts, valid_settings, values
from hypothesis import strategies as st

from sadtalker_ext.cli.setting_flags import flag_of
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.write import VideoSpec, write_video

FLAGS = [flag_of(name) for name in SPECS] + [
    "--device",
    "--dtype",
    "--batch-size",
    "--threads",
    "--idle",
    "--reference-use",
]
SWITCHES = [flag_of(name) for name, spec in SPECS.items() if isinstance(spec.default, bool)]
"""Flags without a value: a text after them would be a further input."""
INPUTS = ("portrait.png", "absent.wav", "--quiet")
"""The voice does not exist, so that no video is made even if all flags are accepted."""


def passable(text):
    """Whether a text can be an argument of a program: no NUL, and only what the file system's encoding has."""
    return "\0" not in text and not any(
        0xD800 <= ord(letter) < 0xDC80 or 0xDCFF < ord(letter) < 0xE000 for letter in text
    )


@property_of(
    8,
    given_flags=st.lists(st.tuples(st.sampled_from(FLAGS), texts.filter(passable)), min_size=1, max_size=4),
    joined=st.booleans(),
)
def test_flags(place, given_flags, joined):
    separate = [[flag] if flag in SWITCHES else [flag, text] for flag, text in given_flags]
    flags = [f"{flag}={text}" for flag, text in given_flags] if joined else [part for pair in separate for part in pair]
    code, _ = place.run("animate", *INPUTS, *flags)
    assert code == 2


@property_of(4, content=st.one_of(settings.map(as_json), broken_json))
def test_settings_files(place, content):
    path = place.write("settings.json", content)
    assert place.run("animate", *INPUTS, "--settings-from", path)[0] == 2
    path.unlink()


@property_of(4, chosen=settings)
def test_settings_of_mappings(chosen):
    """Whatever is accepted is stored as JSON that gives the same settings."""
    try:
        accepted = Settings.from_mapping(chosen)
    except SadTalkerError as error:
        check_message(str(error))
        return
    text = accepted.to_json()
    assert Settings.from_json(text) == accepted
    json.loads(text, parse_constant=pytest.fail)


@property_of(2, chosen=valid_settings)
def test_accepted_settings_are_read_again(place, chosen):
    path = place.write("settings.json", Settings.from_mapping(chosen).to_json().encode())
    assert place.run("animate", *INPUTS, "--settings-from", path)[0] == 2
    assert Settings.from_json(path.read_text("utf-8")) == Settings.from_mapping(chosen)
    path.unlink()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video of two frames with a comment; return the part before the comment's box, and the part after it."""
    import numpy as np

    path = tmp_path_factory.mktemp("video") / "short.mp4"
    frames = [np.full((64, 64, 3), level, np.uint8) for level in (40, 90)]
    write_video(frames, path, VideoSpec(metadata={"comment": "{}"}))
    return path.read_bytes()


COMMENT = ("moov", "udta", "meta", "ilst", "\xa9cmt", "data")


def with_comment(content, comment):
    """Return an mp4 file with another comment: the sizes of the boxes around it are changed, as in ISO/IEC 14496-12."""
    content = bytearray(content)
    begin, end, starts = 0, len(content), []
    for name in COMMENT:
        at = begin
        while content[at + 4 : at + 8] != name.encode("latin-1"):
            at += struct.unpack_from(">I", content, at)[0]
            assert at < end
        starts.append(at)
        begin, end = at + (12 if name == "meta" else 8), at + struct.unpack_from(">I", content, at)[0]
    begin += 8  # type and locale
    for at in starts:
        size = struct.unpack_from(">I", content, at)[0]
        struct.pack_into(">I", content, at, size + len(comment) - (end - begin))
    content[begin:end] = comment
    return bytes(content)


record = st.fixed_dictionaries(
    {"settings": settings | values, "version": values}, optional={"program": values, "extra": values}
)


@property_of(5, comment=st.one_of(record.map(as_json), broken_json, st.dictionaries(names, values).map(as_json)))
def test_comments_of_videos(place, video, comment):
    path = place.write("result.mp4", with_comment(video, comment[:200_000]))
    code, out = place.run("show", path)
    if code == 0:
        assert Settings.from_json(out).to_mapping() == json.loads(out)
    assert place.run("animate", *INPUTS, "--settings-from", path)[0] == 2
    path.unlink()


def test_the_comment_is_replaced(place, video):
    body = json.dumps({"settings": {"seed": 7}, "version": "1"})
    path = place.write("result.mp4", with_comment(video, body.encode() + b" " * 999))
    code, out = place.run("show", path)
    assert (code, json.loads(out)["seed"]) == (0, 7)
    path.unlink()
