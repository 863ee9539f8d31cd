"""Division of a text into parts that are read one after another, so that progress is known and memory stays small."""

from __future__ import annotations

import html
import re
import unicodedata
from itertools import pairwise
from typing import Final

from sadtalker_ext.errors import SettingsError

MAX_CHARACTERS: Final = 100_000
"""Longest text: about two hours of speech."""
PART_CHARACTERS: Final = 240
"""A part ends with the first sentence that reaches this length."""
LONGEST_PART: Final = 600
"""A sentence longer than this is divided at a comma or a space; it takes about 40 s to say."""
_SENTENCE_END: Final = re.compile(r"[.!?…][\"'”’»)\]]*\s+|[。！？][”’」』）]*|\n\s*\n")
_SSML: Final = re.compile(r"\s*(<\?xml[^>]*>\s*)?<speak[\s>]", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
"""Start of a text with marks of the Speech Synthesis Markup Language, and its tags, which are not read aloud."""
_CLAUSE_END: Final = re.compile(r"(?<=[,;:、，；])\s*")


def clean_text(text: str) -> str:
    """Return the text without control characters, surrogates and surplus space, and without the tags of SSML.

    SettingsError if nothing remains to be read, or if the text is longer than :data:`MAX_CHARACTERS`.
    """
    if _SSML.match(text):
        text = html.unescape(_TAG.sub(" ", text))
    kept = "".join(_plain(character) for character in unicodedata.normalize("NFC", text))
    cleaned = re.sub(r"[^\S\n]+", " ", kept).strip()
    if not any(character.isalnum() for character in cleaned):
        raise SettingsError("The text to read aloud has no words; write at least one")
    if len(cleaned) > MAX_CHARACTERS:
        raise SettingsError(
            f"The text to read aloud has {len(cleaned)} characters, but at most {MAX_CHARACTERS} are read; divide it"
        )
    return cleaned


def split_text(text: str) -> list[str]:
    """Return parts of one or more whole sentences; only a very long sentence is divided.

    An abbreviation such as "Dr." may look like the end of a sentence. Therefore parts are as long as several sentences,
    and the synthesiser, which knows the language, finds the sentences in them.
    """
    parts, current = [], ""
    for sentence in _sentences(text):
        current = f"{current} {sentence}".strip()
        if len(current) >= PART_CHARACTERS:
            parts.append(current)
            current = ""
    return [*parts, current] if current else parts


def _sentences(text: str) -> list[str]:
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    sentences = [text[begin:end].strip() for begin, end in pairwise(ends)]
    return [piece for sentence in sentences if sentence for piece in _divide(sentence)]


def _divide(sentence: str) -> list[str]:
    """Divide a sentence longer than :data:`LONGEST_PART` after a clause, otherwise at a space, otherwise anywhere."""
    pieces = []
    while len(sentence) > LONGEST_PART:
        head = sentence[:LONGEST_PART]
        clauses = [match.end() for match in _CLAUSE_END.finditer(head) if match.end() > LONGEST_PART // 2]
        at = clauses[-1] if clauses else head.rfind(" ") + 1 or LONGEST_PART
        pieces.append(sentence[:at].strip())
        sentence = sentence[at:].strip()
    return [*pieces, sentence] if sentence else pieces


def _plain(character: str) -> str:
    if character in "\n\t\r\v\f\x85\u2028\u2029":
        return " " if character in "\t\v\f" else "\n"
    return "" if unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") else character
