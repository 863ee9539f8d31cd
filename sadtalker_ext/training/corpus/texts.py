"""Sentences for speech synthesis from files of a Debian system: translations, fortunes and documentation.

The corpus stores the phones, not the text.
"""

from __future__ import annotations

import gettext
import logging
import re
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import MediaError

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

LOCALE = Path("/usr/share/locale")
FORTUNES = Path("/usr/share/games/fortunes")
DOCUMENTS = Path("/usr/share/doc")
_MIN_LETTERS, _MAX_LETTERS = 12, 160
_MIN_LETTER_SHARE = 0.9
_MAX_DOCUMENTS = 400
_DOCUMENT_BYTES = 200_000
"""Read from each of this many READMEs, which is text enough."""
_NOT_PROSE = re.compile(r"[%{}<>|\\=_*@#$^~`\[\]0-9]|--|://|\.[a-z]{1,4}\b")
_FORTUNES = {
    "en": "*.u8", "it": "it*", "pt": "brasil", "de": "de/*", "es": "es/*", "cs": "c[sz]/*", "ru": "ru/*", "pl": "pl/*",
}  # fmt: skip
_INITIALS = (*"bpmfdtnlgkhjqxrzcs", "zh", "ch", "sh")
_FINALS = {
    "j q x": "i ia iao ie iu ian in iang ing iong u ue uan un",
    "zh ch sh r z c s": "a e i ai ao ou an en ang eng u uo ui uan un ong",
    "b p m f": "a o ai ei ao an en ang eng u i ie iao ian in ing",
    "d t n l g k h": "a e ai ao ou an ang eng u uo uan un ong",
}


def sample_sentences(language: str, count: int, random: np.random.Generator) -> list[str]:
    """Return ``count`` different random sentences, or all if there are fewer.

    language: a locale name such as "fr" or "pt_BR"; "pinyin" gives random Mandarin syllables in Latin letters.
    MediaError if the system has no text in this language.
    """
    if language == "pinyin":
        return [_random_pinyin(random) for _ in range(count)]
    found = _find_sentences(language)
    if not found:
        raise MediaError(
            f"There is no text in the language {language!r} on this system; install translations, for example with: "
            f"apt-get install manpages-{language} language-pack-{language}"
        )
    order = random.permutation(len(found))[:count]
    return [found[index] for index in order]


@cache
def _find_sentences(language: str) -> tuple[str, ...]:
    return tuple(sorted(set(_read_sentences(language))))


def _read_sentences(language: str) -> Iterator[str]:
    pattern = _FORTUNES.get(language.split("_", maxsplit=1)[0])
    for path in sorted(FORTUNES.glob(pattern)) if pattern and FORTUNES.is_dir() else []:
        text = path.read_bytes().decode("utf-8", "ignore") if path.is_file() and path.suffix in ("", ".u8") else ""
        if language != "en" or text.isascii():
            yield from _split_sentences(text.replace("\n%\n", ". "))
    for path in sorted((LOCALE / language / "LC_MESSAGES").glob("*.mo")):
        yield from _split_sentences(". ".join(_translations(path)))
    if language == "en":
        for path in sorted(DOCUMENTS.glob("*/README*"))[:_MAX_DOCUMENTS]:
            if path.suffix in ("", ".txt", ".md", ".Debian"):
                yield from _split_sentences(path.read_bytes()[:_DOCUMENT_BYTES].decode("utf-8", "ignore"))


def _translations(path: Path) -> list[str]:
    """Return the messages of a gettext catalogue; none if the file cannot be read."""
    try:
        with path.open("rb") as file:
            catalogue = gettext.GNUTranslations(file)
    except (OSError, UnicodeDecodeError, ValueError, struct.error) as error:
        log.info("%s is not a gettext catalogue: %s", path, error)
        return []
    messages: dict[str | tuple[str, int], str] = getattr(catalogue, "_catalog", {})
    return [message for key, message in messages.items() if key]


def _split_sentences(text: str) -> Iterator[str]:
    """Yield the sentences made of plain words; lists, code and file names are skipped."""
    for piece in re.split(r"(?<=[.!?;:。])\s+|\n\s*\n|\t", text):
        sentence = " ".join(piece.split()).strip("\"'()-. ")
        if not _MIN_LETTERS <= len(sentence) <= _MAX_LETTERS or _NOT_PROSE.search(sentence):
            continue
        letters = sum(character.isalpha() or character == " " for character in sentence)
        if letters >= _MIN_LETTER_SHARE * len(sentence):
            yield sentence + "."


def _random_pinyin(random: np.random.Generator) -> str:
    """Return a sentence of random Mandarin syllables with tone numbers."""

    def syllable() -> str:
        initial = str(random.choice(_INITIALS))
        finals = next(finals for initials, finals in _FINALS.items() if initial in initials.split())
        return f"{initial}{random.choice(finals.split())}{random.integers(1, 5)}"

    words = ["".join(syllable() for _ in range(random.integers(1, 4))) for _ in range(random.integers(4, 12))]
    cut = int(random.integers(2, len(words)))
    return " ".join(words[:cut]) + ", " + " ".join(words[cut:]) + "."
