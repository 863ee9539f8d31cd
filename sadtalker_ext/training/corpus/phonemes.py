"""Lip and jaw targets of IPA phones, and conversion of the synthesisers' phone names to IPA.

The openness of vowels follows their height in the IPA chart and the inner-lip apertures in Fromkin, "Lip positions in
American English vowels" (Language and Speech 7, 1964): rounding narrows the opening, so open rounded vowels are no more
open than mid unrounded ones, and w almost closes the lips. Videos of eight speakers, with phones from a speech
recogniser, agree. The weights of a consonant's targets follow the resistance to coarticulation in Recasens & Espinosa,
"An articulatory investigation of lingual coarticulatory resistance" (JASA 125, 2009) and the viseme classes of Fisher,
"Confusions among visually perceived consonants" (JSHR 11, 1968).
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final, NamedTuple

from sadtalker_ext.errors import EngineError

ARTICULATED: Final = ("jaw_open", "lips_closed", "pucker", "spread", "lip_tuck", "upper_lip_raise", "lower_lip_drop")
"""Mouth shapes of the puppet that speech controls, in the column order of the target curves."""


class Gesture(NamedTuple):
    """Targets of one phone in [0, 1] and their weights; 1 is the weight of a full vowel.

    With a weight of 0 the shape depends on the neighbouring phones only.
    """

    jaw: float = 0.0
    jaw_weight: float = 1.0
    closed: float = 0.0
    pucker: float = 0.0
    round_weight: float = 0.15
    spread: float = 0.0
    tuck: float = 0.0
    upper: float = 0.0
    lower: float = 0.0
    lip_weight: float = 0.5


def _vowel(jaw: float, pucker: float, spread: float, lower: float = 0.0, weight: float = 1.0) -> Gesture:
    """Return the gesture of a vowel; the upper lip rises by 0.3 of the drop of the lower lip."""
    rounding = 1.2 if pucker >= 0.5 else 0.8
    return Gesture(jaw, weight, 0.0, pucker, rounding * weight, spread, 0.0, 0.3 * lower, lower, 0.8 * weight)


_VOWELS: Final = {
    "i": _vowel(0.17, 0.0, 0.5, 0.12),
    "y": _vowel(0.10, 0.85, 0.0),
    "ɨ": _vowel(0.18, 0.0, 0.35, 0.08),
    "ʉ": _vowel(0.15, 0.70, 0.0),
    "ɯ": _vowel(0.18, 0.10, 0.25, 0.05),
    "u": _vowel(0.10, 0.90, 0.0),
    "ɪ": _vowel(0.24, 0.0, 0.40, 0.12, 0.8),
    "ʏ": _vowel(0.20, 0.65, 0.0),
    "ʊ": _vowel(0.18, 0.50, 0.0, 0.0, 0.8),
    "e": _vowel(0.30, 0.0, 0.60, 0.18),
    "ø": _vowel(0.24, 0.65, 0.0),
    "ɤ": _vowel(0.30, 0.05, 0.25),
    "o": _vowel(0.24, 0.70, 0.0),
    "ə": _vowel(0.27, 0.05, 0.12, 0.08, 0.5),
    "ɛ": _vowel(0.42, 0.0, 0.42, 0.22),
    "œ": _vowel(0.38, 0.45, 0.0, 0.1),
    "ɜ": _vowel(0.31, 0.20, 0.08, 0.1),
    "ʌ": _vowel(0.42, 0.0, 0.10, 0.15),
    "ɔ": _vowel(0.26, 0.42, 0.0, 0.1),
    "æ": _vowel(0.58, 0.0, 0.45, 0.28),
    "ɐ": _vowel(0.50, 0.0, 0.14, 0.15, 0.85),
    "a": _vowel(0.60, 0.0, 0.20, 0.2),
    "ɑ": _vowel(0.44, 0.0, 0.08, 0.15),
    "ɒ": _vowel(0.34, 0.22, 0.0, 0.1),
    "ɚ": _vowel(0.19, 0.30, 0.0, 0.12, 0.8),
}

_LABIAL_STOP: Final = Gesture(jaw=0.12, jaw_weight=0.9, closed=1.0)
_LABIODENTAL: Final = Gesture(jaw=0.09, jaw_weight=1.5, tuck=1.0, upper=0.1, lip_weight=1.0)
_DENTAL: Final = Gesture(jaw=0.20, jaw_weight=1.0, lower=0.15, spread=0.12)
_ALVEOLAR: Final = Gesture(jaw=0.17, jaw_weight=0.8, lower=0.12, spread=0.15, lip_weight=0.35)
_SIBILANT: Final = Gesture(
    jaw=0.09, jaw_weight=2.2, spread=0.35, round_weight=0.3, upper=0.12, lower=0.28, lip_weight=0.9
)
_POSTALVEOLAR: Final = Gesture(
    jaw=0.12, jaw_weight=2.0, pucker=0.5, round_weight=0.9, upper=0.28, lower=0.32, lip_weight=1.0
)
_PALATAL_FRICATIVE: Final = Gesture(jaw=0.13, jaw_weight=1.4, spread=0.45, round_weight=0.3, lower=0.2)
_VELAR: Final = Gesture(jaw=0.25, jaw_weight=0.35, lip_weight=0.15, round_weight=0.08)
_UVULAR: Final = Gesture(jaw=0.32, jaw_weight=0.4, lip_weight=0.15, round_weight=0.08)
_GLOTTAL: Final = Gesture(jaw=0.28, jaw_weight=0.08, lip_weight=0.05, round_weight=0.03)
_LATERAL: Final = Gesture(jaw=0.28, jaw_weight=0.6, lower=0.1, lip_weight=0.3)
_TRILL: Final = Gesture(jaw=0.21, jaw_weight=0.7, lower=0.1, lip_weight=0.3)
_PALATAL: Final = Gesture(jaw=0.18, jaw_weight=0.7, spread=0.55, round_weight=0.4, lower=0.1)
_RHOTIC: Final = Gesture(jaw=0.11, jaw_weight=0.8, pucker=0.45, round_weight=0.7, lower=0.15)
_ROUNDED_GLIDE: Final = Gesture(jaw=0.02, jaw_weight=1.3, pucker=0.95, round_weight=1.5, lip_weight=0.8)
_BILABIAL_FRICATIVE: Final = Gesture(jaw=0.13, jaw_weight=1.0, closed=0.6)
SILENCE: Final = ""
_REST: Final = Gesture(jaw=0.0, jaw_weight=1.3, round_weight=0.6, lip_weight=0.8)

_CLASSES: Final = (
    ("p b m ɓ", _LABIAL_STOP),
    ("f v ɱ ʋ", _LABIODENTAL),
    ("θ ð", _DENTAL),
    ("t d n ʈ ɖ ɳ ɗ", _ALVEOLAR),
    ("s z ʂ ʐ", _SIBILANT),
    ("ʃ ʒ", _POSTALVEOLAR),
    ("ɕ ʑ ç ʝ", _PALATAL_FRICATIVE),
    ("k ɡ ŋ x ɣ ɠ", _VELAR),
    ("q ɢ χ ʁ ʀ ɴ", _UVULAR),
    ("h ɦ ʔ ħ ʕ", _GLOTTAL),
    ("l ɫ ɭ ɬ ɮ", _LATERAL),
    ("r ɾ ɽ", _TRILL),
    ("j ɲ ʎ c ɟ", _PALATAL),
    ("ɹ ɻ", _RHOTIC),
    ("w ʍ ɥ", _ROUNDED_GLIDE),
    ("ɸ β", _BILABIAL_FRICATIVE),
)

GESTURES: Final[dict[str, Gesture]] = {
    SILENCE: _REST,
    **_VOWELS,
    **{symbol: gesture for symbols, gesture in _CLASSES for symbol in symbols.split()},
}
SYMBOLS: Final = tuple(GESTURES)
SYMBOL_INDEX: Final = {symbol: index for index, symbol in enumerate(SYMBOLS)}
BILABIALS: Final = frozenset({"p", "b", "m", "ɓ"})
VOWELS: Final = frozenset(_VOWELS)

_EQUIVALENTS: Final = {
    "g": "ɡ", "ɝ": "ɚ", "ᵻ": "ɨ", "ɘ": "ə", "ɵ": "ø", "ɞ": "œ", "ɶ": "œ", "ʟ": "l", "ɰ": "ɣ", "ʙ": "b",
    "ɺ": "ɾ", "ʦ": "ts", "ʣ": "dz", "ʧ": "tʃ", "ʤ": "dʒ", "ɩ": "ɪ", "ʘ": "p", "ǃ": "t", "ǀ": "t", "ǁ": "l",
    "ʄ": "ɟ", "ʛ": "ɢ", "ɧ": "ʃ", "ʜ": "ħ", "ʢ": "ʕ", "ɷ": "ʊ", "ȵ": "ɲ", "ᴀ": "a",
}  # fmt: skip


@cache
def split_ipa(text: str) -> tuple[str, ...]:
    """Return the symbols of :data:`GESTURES` in an IPA string, without length, tone, stress and other marks.

    A diphthong or affricate gives its parts. Unknown letters are ignored.
    """
    letters = "".join(_EQUIVALENTS.get(letter, letter) for letter in unicodedata.normalize("NFC", text))
    bases = (letter if letter in GESTURES else unicodedata.normalize("NFD", letter)[0] for letter in letters)
    return tuple(letter for letter in bases if letter in GESTURES)


_ARPABET: Final = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "b": "b", "ch": "tʃ",
    "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "l", "em": "m", "en": "n", "er": "ɚ", "ey": "eɪ", "f": "f",
    "g": "ɡ", "hh": "h", "hv": "ɦ", "ih": "ɪ", "ix": "ɨ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m",
    "n": "n", "nx": "n", "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t",
    "th": "θ", "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
}  # fmt: skip
_CZECH: Final = {
    "c": "ts", "c~": "tʃ", "ch": "x", "d~": "ɟ", "t~": "c", "n~": "ɲ", "n*": "ŋ", "s~": "ʃ", "z~": "ʒ", "r~": "rʒ",
    "r~*": "rʃ", "dz": "dz", "dz~": "dʒ", "h": "ɦ", "e": "ɛ", "e:": "ɛ",
}  # fmt: skip
_FINNISH: Final = {"@": "æ", "7": "ø", "a": "ɑ", "T": "θ", "S": "ʃ", "N": "ŋ", "L": "ʎ", "&": "ə", "D": "ð", "Z": "ʒ"}
_ROMANCE: Final = {
    "E": "ɛ", "O": "ɔ", "S": "ʃ", "Z": "ʒ", "tS": "tʃ", "dZ": "dʒ", "ts": "ts", "dz": "dz", "J": "ɲ", "L": "ʎ",
    "ng": "ŋ", "nf": "ɱ", "ax": "ə", "rr": "r",
}  # fmt: skip
_RUSSIAN: Final = {
    "ii": "i", "yy": "ɨ", "uu": "u", "ee": "e", "oo": "o", "aa": "a", "a": "ɐ", "e": "ɪ", "i": "ɪ", "y": "ɨ",
    "ae": "ə", "ay": "ə", "ur": "ʊ", "c": "ts", "ch": "tɕ", "sh": "ʃ", "zh": "ʒ", "sch": "ɕ", "h": "x", "hh": "ç",
}  # fmt: skip
_PHONE_SETS: Final = {
    "arpabet": _ARPABET, "czech": _CZECH, "finnish": _FINNISH, "romance": _ROMANCE, "russian": _RUSSIAN,
}  # fmt: skip
_PAUSES: Final = frozenset({"pau", "h#", "brth", "sil", "ssil", "SIL"})


def to_symbols(name: str, phone_set: str) -> tuple[str, ...]:
    """Return the symbols of :data:`GESTURES` for a synthesiser's phone name; a pause gives one :data:`SILENCE`.

    phone_set: "ipa", "arpabet", "czech", "finnish", "romance" or "russian". EngineError for an unknown name.
    """
    if name in _PAUSES or not name.strip("#_"):
        return (SILENCE,)
    if phone_set == "ipa":
        return split_ipa(name)
    table = _PHONE_SETS[phone_set]
    bare = name.rstrip("0123456789:") or name[0]
    half = bare[: len(bare) // 2]
    for key in (name, bare, half if bare == 2 * half else bare):
        if key in table:
            return split_ipa(table[key])
    symbols = split_ipa(half if bare == 2 * half else bare)
    if not symbols:
        raise EngineError(f"The {phone_set} phone {name!r} is unknown; add it to training/corpus/phonemes.py")
    return symbols
