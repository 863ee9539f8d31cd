"""The lip at the teeth in f and v: the jaw stays where the lip reaches them, and open vowels end the tuck."""

import numpy as np
import pytest

from sadtalker_ext.engines.starter.lip_curves import LipTrack
from sadtalker_ext.engines.starter.lip_response import LipResponse, TrackedOpenings
from sadtalker_ext.engines.starter.lip_tuck import TUCK_FADES, TUCKED_OPENING, confident_tucks, tucked_opening
from sadtalker_ext.engines.starter.mouth_motion import combine
from sadtalker_ext.engines.starter.speech_motion import SPEECH_SHAPES
from sadtalker_ext.metrics.sync import mouth_opening
from sadtalker_ext.models.lip_motion import LipMotionConfig
from sadtalker_ext.puppet.basis import MOUTH_SHAPES

TYPICAL = LipMotionConfig(opening_mean=0.08, opening_scale=0.05, width_mean=0.57, width_scale=0.04)
JAW, TUCK = MOUTH_SHAPES.index("jaw_open"), MOUTH_SHAPES.index("lip_tuck")
LARGEST_JAW = 0.32
"""From about this jaw opening on, the tucked lip leaves the teeth in rendered portraits."""
LATE_OPENINGS = TrackedOpenings(
    np.linspace(0, 1, 5, dtype=np.float32), np.float32([0.9, 1.1]), np.float32([[0, 0.01, 0.1, 0.2, 0.3]] * 2)
)
"""The tracker hardly sees the first quarter of the openings of some portraits."""
RESPONSES = {"average": LipResponse(), "seen late": LipResponse(openings=LATE_OPENINGS)}


def spoken(tuck, opening):
    """Return mouth coefficients for curves of SpeechToExpression and openings of LipMotion, in deviations."""
    curves = np.zeros((len(opening), len(SPEECH_SHAPES)), np.float32)
    curves[:, SPEECH_SHAPES.index("jaw_open")] = 0.3
    curves[:, SPEECH_SHAPES.index("lip_tuck")] = tuck
    lips = np.stack([opening, np.zeros(len(opening))], 1).astype(np.float32)
    return curves, LipTrack(lips, np.full(len(lips), 0.01, np.float32), np.full(len(lips), 5.0, np.float32))


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("opening", [-1.0, -0.5, 0.0, 0.3, 0.6, 1.5, 3.0])
def test_jaw_stays_where_the_tucked_lip_reaches_the_teeth(opening, name):
    mouth = combine(*spoken(1.0, np.full(40, opening)), TYPICAL, RESPONSES[name])[20]
    assert mouth[JAW] * mouth[TUCK] <= LARGEST_JAW
    if opening <= TUCK_FADES[0]:
        assert mouth[TUCK] == 1.0
    if opening >= TUCK_FADES[1]:
        assert mouth[TUCK] == 0.0
        free = combine(*spoken(0.0, np.full(40, opening)), TYPICAL, RESPONSES[name])[20]
        np.testing.assert_allclose(mouth, free, atol=1e-6)


def test_tuck_that_is_predicted_too_long_ends_where_the_vowel_opens():
    frames = np.arange(60)
    vowel = np.clip((frames - 30) / 3, -1.0, 1.3)  # From an f at frame 27 to an open vowel in 0.2 s.
    mouth = combine(*spoken(np.where(frames < 33, 0.95, 0.0), vowel), TYPICAL)
    free = combine(*spoken(0.0, vowel), TYPICAL)
    assert mouth[20:29, TUCK].min() > 0.99
    assert mouth[32:, TUCK].max() == 0.0
    np.testing.assert_allclose(mouth_opening(mouth)[32:50], mouth_opening(free)[32:50], atol=1e-6)
    assert np.all(mouth[:, TUCK] * mouth[:, JAW] <= LARGEST_JAW)


def test_opening_is_limited_smoothly_and_by_complete_tucks_only():
    opening = np.linspace(0, 1, 201, dtype=np.float32)
    for tuck in (0.0, 0.3, 1.0):
        limited = tucked_opening(opening, np.full(201, tuck, np.float32))
        slopes = np.diff(limited) / np.diff(opening)
        assert slopes.min() >= 0.0
        assert slopes.max() < 1.0 + 1e-4
        assert np.abs(np.diff(slopes)).max() < 0.1
        np.testing.assert_allclose(limited[opening <= TUCKED_OPENING], opening[opening <= TUCKED_OPENING], atol=1e-6)
        np.testing.assert_allclose(limited, opening, atol=tuck + 1e-6)


def test_tucks_fade_monotonically():
    kept = confident_tucks(np.full(50, 0.8, np.float32), np.linspace(-2, 2, 50, dtype=np.float32))
    assert kept[0] == pytest.approx(0.8)
    assert kept[-1] == 0.0
    assert np.diff(kept).max() <= 0.0
    assert len(confident_tucks(kept[:0], kept[:0])) == 0
