"""Voices for the writing system of a text: the default fits it, and one that cannot read it is refused."""

import pytest

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.tts import voices
from sadtalker_ext.tts.provider import Voice
from sadtalker_ext.tts.writing_systems import writing_system


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("Hello, 你好!", ""), ("你好,世界 OK", "CJK"), ("日本語を話します。", "HIRAGANA"), ("안녕하세요", "HANGUL"),
        ("Привет, Bob!", "CYRILLIC"), ("مرحبا", "ARABIC"), ("नमस्ते", "DEVANAGARI"), ("12 + 3", ""),
        ("Übung, çok iyi", ""),
    ],
)  # fmt: skip
def test_the_writing_system_is_that_of_most_letters(text, system):
    assert writing_system(text) == system


@pytest.fixture
def installed(monkeypatch):
    """An English and a Greek Piper voice, and espeak-ng's Tatar and Mandarin."""
    found = [
        Voice("joe", "Piper", "en_US", "Joe"), Voice("rapunzelina", "Piper", "el-gr", "Greek"),
        Voice("smj", "espeak-ng", "smj", "Lule Saami"), Voice("cmn", "espeak-ng", "cmn", "Mandarin"),
    ]  # fmt: skip
    monkeypatch.setattr(voices, "list_voices", lambda folders: found)
    return found


def test_the_default_voice_reads_the_text(installed):
    assert voices.find_voice("", (), "Good morning") == installed[0]
    assert voices.find_voice("", (), "Καλημέρα") == installed[1]
    assert voices.find_voice("", (), "早上好") == installed[3]
    assert voices.find_voice("cmn", (), "Good morning 早上好") == installed[3]
    assert voices.find_voice("smj", (), "Καλημέρα") == installed[2], "it is not known what this voice reads"


def test_voices_that_cannot_read_the_text_are_refused(installed):
    with pytest.raises(SettingsError, match="Chinese letters, which the voice joe does not read; choose the voice cmn"):
        voices.find_voice("joe", (), "早上好")
    with pytest.raises(SettingsError, match=r"Korean letters, .* joe does not read; install a voice of its language"):
        voices.find_voice("", (), "안녕하세요")
