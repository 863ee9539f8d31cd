"""Which voices read the writing system of a text.

Voices read letters of other systems as nothing, as the names of the letters, or as noise.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import Final

SYSTEMS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "CJK": ("Chinese", frozenset({"cmn", "zh", "yue", "hak", "ja"})),
    "HIRAGANA": ("Japanese", frozenset({"ja"})),
    "KATAKANA": ("Japanese", frozenset({"ja"})),
    "HANGUL": ("Korean", frozenset({"ko"})),
    "CYRILLIC": (
        "Cyrillic", frozenset({"ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "ba", "tt", "cv", "mn", "nog"}),
    ),
    "ARABIC": ("Arabic", frozenset({"ar", "fa", "ur", "sd", "ug"})),
    "HEBREW": ("Hebrew", frozenset({"he"})),
    "DEVANAGARI": ("Devanagari", frozenset({"hi", "mr", "ne", "kok"})),
    "GREEK": ("Greek", frozenset({"el", "grc"})),
    "THAI": ("Thai", frozenset({"th"})),
}  # fmt: skip
"""Name of a system and the languages of voices that read it, by the first word of the Unicode names of its letters."""
LATIN_LANGUAGES: Final = frozenset(
    {"en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "no", "fi", "pl", "cs", "sk", "hu", "ro", "tr", "ca"}
)
"""Languages of voices that read none of :data:`SYSTEMS`."""
MIN_SHARE: Final = 0.5
"""Share of the letters from which a text counts as written in a system."""


def writing_system(text: str) -> str:
    """Return the key of :data:`SYSTEMS` of a text; empty for other systems, such as Latin."""
    letters = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha())
    total = letters.total()
    japanese = letters["HIRAGANA"] + letters["KATAKANA"]
    if total and japanese and (japanese + letters["CJK"]) >= MIN_SHARE * total:
        return "HIRAGANA"
    return next((name for name in SYSTEMS if total and letters[name] >= MIN_SHARE * total), "")


def reads(language: str, system: str) -> bool:
    """Return whether voices of a language, such as ``en-us`` or ``zh_CN``, are made for a system; "" is Latin."""
    return not system or base_language(language) in SYSTEMS[system][1]


def base_language(language: str) -> str:
    """Return the language without its region."""
    return language.lower().replace("_", "-").partition("-")[0]
