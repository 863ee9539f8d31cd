"""Articulation curves: complete and timely closures, early rounding, rest in silence, and effect of loudness."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_speech import phones_of

from sadtalker_ext.errors import EngineError
from sadtalker_ext.training.corpus.articulation import articulation_curves
from sadtalker_ext.training.corpus.phonemes import ARTICULATED, BILABIALS, GESTURES, split_ipa, to_symbols

JAW, CLOSED, PUCKER, SPREAD, TUCK = (
    ARTICULATED.index(name) for name in ("jaw_open", "lips_closed", "pucker", "spread", "lip_tuck")
)


def value_at(curve, time_s):
    return curve[round(time_s * 100)]


@pytest.mark.parametrize("stop", sorted(BILABIALS))
def test_lips_close_completely_at_bilabials_only(stop):
    phones = phones_of(("", 0, 0.5), ("a", 0.5, 0.7), (stop, 0.7, 0.78), ("a", 0.78, 1.0), ("", 1.0, 1.5))
    closed = articulation_curves(phones, 150, 100)[:, CLOSED]
    assert value_at(closed, 0.74) == 1.0
    assert value_at(closed, 0.60) == 0.0
    assert value_at(closed, 0.88) == 0.0
    assert (closed > 0.99).sum() >= 5


def test_labiodentals_tuck_the_lower_lip():
    phones = phones_of(("", 0, 0.5), ("a", 0.5, 0.7), ("f", 0.7, 0.8), ("a", 0.8, 1.0), ("", 1.0, 1.5))
    tuck = articulation_curves(phones, 150, 100)[:, TUCK]
    assert value_at(tuck, 0.75) == 1.0
    assert value_at(tuck, 0.55) == 0.0


def test_rounding_starts_in_the_preceding_consonants():
    phones = phones_of(("", 0, 0.3), ("i", 0.3, 0.5), ("s", 0.5, 0.6), ("t", 0.6, 0.7), ("u", 0.7, 0.9), ("", 0.9, 1.4))
    pucker = articulation_curves(phones, 140, 100)[:, PUCKER]
    half = np.flatnonzero(pucker > pucker.max() / 2)[0] / 100
    assert 0.08 <= 0.8 - half <= 0.3
    assert value_at(pucker, 0.40) < 0.1


def test_mouth_is_at_rest_a_quarter_of_a_second_after_speech():
    phones = phones_of(("", 0, 0.5), ("ɑ", 0.5, 0.8), ("", 0.8, 2.0))
    curve = articulation_curves(phones, 200, 100)
    assert curve[105:].max() < 0.02
    assert value_at(curve[:, JAW], 0.65) > 0.4
    assert np.abs(np.diff(curve[:, JAW])).max() < 0.1


def test_open_vowels_open_more_and_front_vowels_spread():
    def curves_of(vowel):
        return articulation_curves(phones_of(("", 0, 0.3), (vowel, 0.3, 0.6), ("", 0.6, 1.0)), 100, 100)[45]

    assert curves_of("ɑ")[JAW] > curves_of("ɛ")[JAW] > curves_of("i")[JAW]
    assert curves_of("i")[SPREAD] > 0.5 > curves_of("ɑ")[SPREAD]
    assert curves_of("u")[PUCKER] > 0.7 > curves_of("ɑ")[PUCKER]


def test_quiet_speech_opens_less():
    loud = phones_of(("", 0, 0.3), ("a", 0.3, 0.5), ("", 0.5, 1.0))
    quiet = loud._replace(level_db=loud.level_db - 10)
    assert articulation_curves(quiet, 100, 100)[40, JAW] < 0.85 * articulation_curves(loud, 100, 100)[40, JAW]


def test_curves_stay_in_range():
    random = np.random.default_rng(3)
    names = list(random.choice(list(GESTURES), 200))
    ends = np.cumsum(random.uniform(0.03, 0.2, 200))
    phones = phones_of(*zip(names, [0, *ends[:-1]], ends, strict=True))
    curve = articulation_curves(phones, 1000, 100)
    assert curve.shape == (1000, 7)
    assert curve.min() >= 0.0
    assert curve.max() <= 1.0


@pytest.mark.parametrize(
    ("name", "phone_set", "symbols"),
    [
        ("aw", "arpabet", ("a", "ʊ")),
        ("pau", "arpabet", ("",)),
        ("ss", "russian", ("s",)),
        ("h", "russian", ("x",)),
        ("r~", "czech", ("r", "ʒ")),
        ("@:", "finnish", ("æ",)),
        ("h", "finnish", ("h",)),
        ("O1", "romance", ("ɔ",)),
        ("tʃʰ", "ipa", ("t", "ʃ")),
        ("ɑ̃ː", "ipa", ("ɑ",)),
        ("ç", "ipa", ("ç",)),
    ],
)
def test_phone_names_of_each_synthesiser_are_converted(name, phone_set, symbols):
    assert to_symbols(name, phone_set) == symbols


def test_unknown_phone_is_named_in_the_error():
    with pytest.raises(EngineError, match=r"'\?\?'"):
        to_symbols("??", "arpabet")


def test_ipa_without_known_letters_gives_no_symbols():
    assert split_ipa("ˈː˥") == ()


@pytest.mark.parametrize(("pause_s", "parted"), [(0.15, True), (0.6, False)])
def test_mouth_closes_only_in_long_pauses(pause_s, parted):
    phones = phones_of(("a", 0.0, 0.3), ("", 0.3, 0.3 + pause_s), ("a", 0.3 + pause_s, 0.9))
    middle = round(100 * (0.3 + pause_s / 2))
    assert (articulation_curves(phones, 90, 100)[middle, JAW] > 0.1) == parted
    if not parted:
        assert articulation_curves(phones, 90, 100)[55, JAW] < 0.03  # a quarter of a second after the speech
