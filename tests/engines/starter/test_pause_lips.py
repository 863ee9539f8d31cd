"""Lips in pauses: parted before a phrase as those of real speakers, closed far from speech and in noise."""

import numpy as np
import pytest

from sadtalker_ext.engines.starter import pause_lips
from sadtalker_ext.engines.starter.lip_response import LipResponse
from sadtalker_ext.engines.starter.pause_lips import add_pause_lips, breath_track, nearness, spoken_phrases
from sadtalker_ext.metrics.sync import mouth_opening
from sadtalker_ext.puppet.basis import MOUTH_SHAPES

JAW, CLOSED = MOUTH_SHAPES.index("jaw_open"), MOUTH_SHAPES.index("lips_closed")
FRAMES = 300
REAL_BREATH = (0.064, 0.087)
"""Median and upper quartile of the lips' distance 0.45 to 0.15 s before a phrase, 54 speakers, in eye distances."""


def speech_in(*phrases):
    """Return mouth coefficients and recognised openings that open in the phrases only."""
    mouth = np.zeros((FRAMES, len(MOUTH_SHAPES)), np.float32)
    spoken = np.zeros(FRAMES, np.float32)
    for start, end in phrases:
        mouth[start:end, JAW] = 0.3
        spoken[start:end] = 0.4
    return mouth, spoken


def predicted(distance):
    return np.full(FRAMES, distance, np.float32)


def test_phrases_are_joined_over_short_gaps():
    _, spoken = speech_in((50, 90), (95, 130), (180, 250), (280, 284))
    phrases = spoken_phrases(spoken)
    np.testing.assert_allclose(phrases, [(50, 130), (180, 250)], atol=2)


def test_nothing_changes_without_speech():
    mouth, spoken = speech_in()
    np.testing.assert_array_equal(add_pause_lips(mouth, spoken, predicted(0.2)), mouth)
    assert len(add_pause_lips(mouth[:0], spoken[:0], predicted(0.2)[:0])) == 0


def test_lips_part_before_a_phrase_and_rest_far_from_speech():
    mouth, spoken = speech_in((100, 150), (250, 290))
    distance = pause_lips.BREATH_OPENING[0]
    opening = mouth_opening(add_pause_lips(mouth, spoken, predicted(distance)))
    parted = LipResponse().opening_for(np.float32([distance]))[0]
    assert np.all(opening[:72] == 0)
    assert np.all(opening[165:222] == 0)
    assert opening[84:98].max() >= parted - 1e-6
    assert opening[236:248].max() >= parted - 1e-6
    np.testing.assert_allclose(opening[108:142], 0.3, atol=1e-6)
    assert np.abs(np.diff(opening[72:98])).max() < 0.15


def test_distance_of_the_lips_is_that_of_real_speakers():
    distances = [breath_track([(start, start + 60)], FRAMES)[start - 13 : start - 5].max() for start in range(40, 200)]
    assert REAL_BREATH[0] < np.median(distances) < REAL_BREATH[1]
    assert np.ptp(distances) > 0.02


def test_no_breath_where_lip_motion_predicts_closed_lips():
    mouth, spoken = speech_in((100, 150))
    np.testing.assert_array_equal(add_pause_lips(mouth, spoken, predicted(-0.05)), mouth)


def test_lips_follow_lip_motion_around_a_phrase():
    near = nearness([(100, 200)], FRAMES)
    np.testing.assert_array_equal(near[[50, 150, 250]], 0.0)
    assert near[[95, 100, 200, 203]].min() > 0.9
    mouth, spoken = speech_in((100, 200))
    wide = mouth_opening(add_pause_lips(mouth, spoken, predicted(0.15)))
    expected = LipResponse().opening_for(np.float32([0.15]), np.ones(1, np.float32))[0]
    assert wide[203] == pytest.approx(expected, abs=0.05)


def test_closed_lips_stay_closed():
    mouth, spoken = speech_in((100, 150))
    mouth[90:100, CLOSED] = 1.0
    assert np.all(mouth_opening(add_pause_lips(mouth, spoken, predicted(0.1)))[90:100] == 0)


def test_tucked_lips_stay_at_the_teeth():
    mouth, spoken = speech_in((100, 150))
    mouth[98:104, MOUTH_SHAPES.index("lip_tuck")] = 1.0
    parted = add_pause_lips(mouth, spoken, predicted(0.2))
    assert parted[98:104, JAW].max() <= 0.32
    assert mouth_opening(parted)[95] > 0.4


def test_breaths_fit_into_short_pauses():
    track = breath_track([(0, 50), (54, 100), (115, 150)], FRAMES)
    assert np.all(track[:100] == 0)
    earliest = 100 + round(pause_lips.REST_S * 25)
    assert np.all(track[:earliest] == 0)
    assert track[earliest:115].max() > 0.5 * pause_lips.BREATH_OPENING[0]
