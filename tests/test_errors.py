"""Error messages name files by path, or by the names that a front end gives them."""

import pickle

import pytest

from sadtalker_ext.errors import FileRef, MediaError, SadTalkerError


@pytest.fixture
def error(tmp_path):
    return MediaError("The ", FileRef("voice", tmp_path / "job" / "3f.wav"), " is silent; choose another file")


def test_the_message_contains_the_role_and_the_path(error, tmp_path):
    assert str(error) == f"The voice {tmp_path / 'job' / '3f.wav'} is silent; choose another file"
    assert str(SadTalkerError("plain text")) == "plain text"


@pytest.mark.parametrize(("name", "shown"), [("hello.mp3", "The voice hello.mp3 is"), ("", "The voice is")])
def test_a_front_end_shows_its_own_names(error, tmp_path, name, shown):
    text = error.describe({tmp_path / "job" / "3f.wav": name})
    assert text.startswith(shown)
    assert str(tmp_path) not in text


def test_a_symlink_and_its_target_have_one_name(error, tmp_path):
    (tmp_path / "job").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "job")
    assert "hello.mp3" in error.describe({tmp_path / "link" / "3f.wav": "hello.mp3"})
    assert "hello.mp3" not in error.describe({tmp_path / "other.wav": "hello.mp3"})


def test_errors_survive_pickling(error):
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_message_is_one_printable_line(tmp_path):
    name = tmp_path / "a\nb\x1b]0;owned\x07\u202egnp.mp4\udcff é 日本 \u200d"
    for text in (str(MediaError("The ", FileRef("voice", name), "\n\tis silent")), MediaError(str(name)).describe({})):
        assert text.isascii() or text.encode()
        assert not [letter for letter in text if ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 or letter == "\u202e"]
        assert "a b\\x1b]0;owned\\x07\\u202egnp.mp4\\udcff é 日本 \u200d" in text
    assert str(SadTalkerError("a \n\t b\r\nc\u2028d")) == "a b c d"


def test_a_long_message_keeps_its_beginning_and_its_remedy():
    text = str(SadTalkerError(f"The name {'9' * 5000} is unknown; choose another one"))
    assert len(text) <= 1200
    assert text.startswith("The name 999")
    assert text.endswith("999 is unknown; choose another one")
    exact = "a" * 1200
    assert str(SadTalkerError(exact)) == exact
