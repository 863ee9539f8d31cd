"""A text is cleaned and divided into parts of whole sentences, and nothing of it is lost."""

import pytest

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.tts.text_parts import LONGEST_PART, MAX_CHARACTERS, PART_CHARACTERS, clean_text, split_text

SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody knows why."


def words(text):
    return "".join(text.split())


def test_short_texts_are_one_part():
    text = "Hello. How are you? Dr. Smith is here!"
    assert split_text(text) == [text]


def test_parts_end_with_sentences_and_keep_every_word():
    text = " ".join(f"{SENTENCE} ({number}) Really? Yes." for number in range(40))
    parts = split_text(text)
    assert words("".join(parts)) == words(text)
    assert all(part[-1] in ".?" for part in parts)
    assert all(PART_CHARACTERS <= len(part) <= PART_CHARACTERS + len(SENTENCE) for part in parts[:-1])


@pytest.mark.parametrize(
    "text",
    [
        "word " * 1000, "a, bc " * 1000, "x" * 5000, "很长的一句话，" * 600, "句子很短。" * 400,
        "One line\n\nAnother line " * 90,
    ],
)  # fmt: skip
def test_long_sentences_are_divided_without_loss(text):
    parts = split_text(clean_text(text))
    assert words("".join(parts)) == words(text)
    assert max(map(len, parts)) <= LONGEST_PART + PART_CHARACTERS
    assert len(parts) > 1


def test_quotation_marks_stay_with_their_sentence():
    first = SENTENCE[:-1] * 4 + ' and said: "No."'
    assert split_text(f"{first} And left.") == [first, "And left."]


def test_cleaning_removes_what_cannot_be_read():
    assert clean_text("  Hello\x00\x1b[31m\tworld\ud800 \r\n again\u2028") == "Hello[31m world \n\n again"
    assert clean_text("e\u0301") == "é"


@pytest.mark.parametrize("text", ["", "  \n", "...", "\x00", "?!—"])
def test_texts_without_words_are_refused(text):
    with pytest.raises(SettingsError, match="has no words"):
        clean_text(text)


def test_longest_text():
    assert len(clean_text("a" * MAX_CHARACTERS)) == MAX_CHARACTERS
    with pytest.raises(SettingsError, match=f"has {MAX_CHARACTERS + 1} characters"):
        clean_text("a" * (MAX_CHARACTERS + 1))


def test_tags_of_ssml_are_not_read_aloud():
    text = '<?xml version="1.0"?>\n<speak xml:lang="en"><p>Salt &amp; pepper.</p><break time="1s"/>Yes!</speak>'
    assert clean_text(text) == "Salt & pepper. Yes!"
    assert clean_text("if a < b and b > c: <b>x</b>") == "if a < b and b > c: <b>x</b>"
    with pytest.raises(SettingsError, match="has no words"):
        clean_text("<speak></speak>")
