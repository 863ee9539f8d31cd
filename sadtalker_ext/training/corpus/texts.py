"""Sentences to read aloud, from what a Debian machine holds: translations, fortunes, documentation. Nothing is kept."""

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
_SHORTEST, _LONGEST = 12, 160
_STRANGE = re.compile(r"[%{}<>|\\=_*@#$^~`\[\]0-9]|--|://|\.[a-z]{1,4}\b")
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


def sentences(language: str, count: int, random: np.random.Generator) -> list[str]:
    """``count`` different sentences of a language ("fr", "pt_BR"; "pinyin" is made-up Mandarin in Latin letters).

    Fewer where the machine holds fewer; refused where it holds none.
    """
    if language == "pinyin":
        return [_pinyin(random) for _ in range(count)]
    found = _all(language)
    if not found:
        raise MediaError(
            f"this machine holds no text in the language {language!r}; install translations of it, "
            f"for example with: apt-get install manpages-{language} language-pack-{language}"
        )
    order = random.permutation(len(found))[:count]
    return [found[index] for index in order]


@cache
def _all(language: str) -> tuple[str, ...]:
    return tuple(sorted(set(_read(language))))


def _read(language: str) -> Iterator[str]:
    pattern = _FORTUNES.get(language.split("_", maxsplit=1)[0])
    for path in sorted(FORTUNES.glob(pattern)) if pattern and FORTUNES.is_dir() else []:
        text = path.read_bytes().decode("utf-8", "ignore") if path.is_file() and path.suffix in ("", ".u8") else ""
        if language != "en" or text.isascii():
            yield from _split(text.replace("\n%\n", ". "))
    for path in sorted((LOCALE / language / "LC_MESSAGES").glob("*.mo")):
        yield from _split(". ".join(_translations(path)))
    if language == "en":
        for path in sorted(DOCUMENTS.glob("*/README*"))[:400]:
            if path.suffix in ("", ".txt", ".md", ".Debian"):
                yield from _split(path.read_bytes()[:200_000].decode("utf-8", "ignore"))


def _translations(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            catalogue = gettext.GNUTranslations(file)
    except (OSError, UnicodeDecodeError, ValueError, struct.error) as error:
        log.info("%s is not a catalogue of translations: %s", path, error)
        return []
    messages: dict[str | tuple[str, int], str] = getattr(catalogue, "_catalog", {})
    return [message for key, message in messages.items() if key]


def _split(text: str) -> Iterator[str]:
    """Sentences of plain words; lists, code and names of files are left out."""
    for piece in re.split(r"(?<=[.!?;:。])\s+|\n\s*\n|\t", text):
        sentence = " ".join(piece.split()).strip("\"'()-. ")
        letters = sum(sign.isalpha() or sign == " " for sign in sentence)
        if _SHORTEST <= len(sentence) <= _LONGEST and letters >= 0.9 * len(sentence) and not _STRANGE.search(sentence):
            yield sentence + "."


def _pinyin(random: np.random.Generator) -> str:
    """A sentence of random Mandarin syllables with tone numbers."""

    def syllable() -> str:
        initial = str(random.choice(_INITIALS))
        finals = next(finals for initials, finals in _FINALS.items() if initial in initials.split())
        return f"{initial}{random.choice(finals.split())}{random.integers(1, 5)}"

    words = ["".join(syllable() for _ in range(random.integers(1, 4))) for _ in range(random.integers(4, 12))]
    cut = int(random.integers(2, len(words)))
    return " ".join(words[:cut]) + ", " + " ".join(words[cut:]) + "."
