"""Motion metrics against closed forms."""

import math

import numpy as np
import pytest

from sadtalker_ext.metrics.motion import (
    beat_alignment,
    diversity_deg,
    fast_share,
    jitter_deg_per_s3,
    kinematic_beats,
    speech_beats,
)

TIMES_S = np.arange(2000) / 25.0


def swing(amplitude_deg: float, hz: float) -> np.ndarray:
    track = np.deg2rad(amplitude_deg) * np.sin(2 * np.pi * hz * TIMES_S)
    return np.stack([track, track, track], axis=1)


def test_diversity_of_a_sine_is_its_rms():
    assert diversity_deg(swing(3.0, 0.5)) == pytest.approx(3.0 / math.sqrt(2), rel=1e-3)
    assert diversity_deg(np.ones((10, 3))) == pytest.approx(0.0, abs=1e-9)


def test_jitter_is_the_third_derivative_and_grows_with_noise():
    amplitude, hz = 2.0, 0.7
    expected = amplitude * (2 * np.pi * hz) ** 3 / math.sqrt(2)
    assert jitter_deg_per_s3(swing(amplitude, hz)) == pytest.approx(expected, rel=0.02)
    noisy = swing(amplitude, hz) + np.random.default_rng(0).normal(0, np.deg2rad(0.05), (2000, 3))
    assert jitter_deg_per_s3(noisy) > 5 * expected
    assert jitter_deg_per_s3(np.zeros((2, 3))) == 0


@pytest.mark.parametrize("hz", [0.4, 1.0, 2.0])
def test_kinematic_beats_are_the_turning_points(hz: float):
    beats = kinematic_beats(swing(3.0, hz))
    turning = (np.arange(int(2 * hz * 80)) + 0.5) / (2 * hz) * 25
    assert abs(len(beats) - len(turning)) <= 2
    nearest = np.abs(beats[:, None] - turning[None]).min(axis=1)
    assert nearest.max() <= 1.5


def test_trembling_or_slow_head_has_no_beats():
    rng = np.random.default_rng(0)
    assert len(kinematic_beats(np.deg2rad(rng.normal(0, 0.2, (500, 3))))) < 20
    assert len(kinematic_beats(swing(1.0, 0.1))) == 0
    assert len(kinematic_beats(np.zeros((3, 3)))) == 0


def test_beat_alignment_follows_its_formula():
    audio = np.array([10, 50, 90])
    assert beat_alignment(audio, audio) == 1.0
    assert beat_alignment(audio, audio + 3) == pytest.approx(math.exp(-0.5))
    assert beat_alignment(audio, np.array([10])) == pytest.approx(1 / 3, abs=1e-6)
    assert beat_alignment(audio, np.zeros(0, int)) == 0
    assert math.isnan(beat_alignment(np.zeros(0, int), audio))


BEATS_BY_REFERENCE = (
    ([3, 8, 15, 35, 53, 61, 102, 127, 129, 162, 170, 182], [55, 100, 108, 111, 121, 126, 145, 187, 194], 0.29488772),
    ([0, 6, 17, 35, 78, 110, 134, 145, 152, 163, 169, 171], [4, 5, 16, 59, 80, 84, 96, 108, 172], 0.45567543),
)
"""Beats of sound and motion, and the score that Bailando's function ``BA`` gives them."""


@pytest.mark.parametrize(("sound", "motion", "score"), BEATS_BY_REFERENCE)
def test_beat_alignment_equals_that_of_bailando(sound: list[int], motion: list[int], score: float):
    assert beat_alignment(np.array(sound), np.array(motion)) == pytest.approx(score, rel=1e-7)


def test_speech_beats_are_the_peaks():
    track = np.zeros(100, np.float32)
    for peak, height in ((20, 0.5), (40, 0.05), (60, 1.0)):
        track += (height * np.exp(-0.5 * ((np.arange(100) - peak) / 2.0) ** 2)).astype(np.float32)
    assert speech_beats(track).tolist() == [20, 60]


def test_fast_share_separates_slow_and_fast_movement():
    assert fast_share(swing(3.0, 1.0)) < 0.001
    assert fast_share(swing(3.0, 8.0)) > 0.99
    assert fast_share(np.zeros((50, 3))) == 0
