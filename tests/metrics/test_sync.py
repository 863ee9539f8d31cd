"""Lip sync metrics on synthetic curves."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.metrics.sync import (
    best_lag,
    closure_accuracy,
    mouth_opening,
    mouth_width,
    pearson,
    with_opening,
    with_width,
)
from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.puppet.mouth_fields import PUCKER_NARROWS, SPREAD_WIDENS


def mouth(**shapes):
    rows = np.zeros((1, len(MOUTH_SHAPES)))
    for name, value in shapes.items():
        rows[0, MOUTH_SHAPES.index(name)] = value
    return rows


def mixed_sine(times):
    return np.sin(2 * np.pi * 1.3 * times) + 0.5 * np.sin(2 * np.pi * 3.1 * times + 1)


def test_opening_combines_jaw_lips_and_tuck():
    assert mouth_opening(mouth(jaw_open=0.5)) == pytest.approx(0.5)
    assert mouth_opening(mouth(jaw_open=0.5, lips_closed=1.0)) == 0.0
    assert mouth_opening(mouth(jaw_open=0.5, lower_lip_drop=0.5)) > 0.5
    assert 0.0 <= mouth_opening(mouth(lip_tuck=1.0)) < 0.02
    assert mouth_opening(mouth(jaw_open=0.4, lip_tuck=1.0)) < 0.6 * mouth_opening(mouth(jaw_open=0.4))
    assert mouth_opening(mouth(smile=1.0, pucker=1.0)) == 0.0


def test_width_follows_spread_and_pucker():
    assert mouth_width(mouth()) == 1.0
    assert mouth_width(mouth(spread=1.0)) > 1.1
    assert mouth_width(mouth(pucker=1.0)) < 0.8


@pytest.mark.parametrize(
    "shapes",
    [{}, {"jaw_open": 0.9}, {"lip_tuck": 1.0}, {"upper_lip_raise": 0.8, "lower_lip_drop": 0.9, "lip_tuck": 0.4}],
)
@pytest.mark.parametrize("opening", [0.0, 0.05, 0.3, 0.9])
def test_mouth_gets_the_opening_that_is_asked_for(opening, shapes):
    opened = with_opening(mouth(**shapes), np.array([opening]))
    reachable = mouth_opening(mouth(**{**shapes, "jaw_open": 1.0}))
    assert mouth_opening(opened) == pytest.approx(np.minimum(opening, reachable), abs=1e-6 if opening else 0.03)
    assert opened.min() >= 0.0
    assert opened.max() <= 1.0


@pytest.mark.parametrize("excess_width", [0.0, 0.25])
@pytest.mark.parametrize("width", [0.85, 1.0, 1.09])
@pytest.mark.parametrize("jaw_open", [0.0, 0.6])
def test_mouth_gets_the_width_that_is_asked_for(width, jaw_open, excess_width):
    started = mouth(spread=0.2, pucker=0.1, jaw_open=jaw_open, lip_tuck=0.3)
    widened = with_width(started, np.array([width]), excess_width)
    assert mouth_width(widened, excess_width) == pytest.approx(width, abs=1e-6)
    others = [index for index, name in enumerate(MOUTH_SHAPES) if name not in ("spread", "pucker")]
    np.testing.assert_array_equal(widened[:, others], started[:, others].astype(np.float32))


def test_width_beyond_reach_ends_at_the_limits():
    widest, narrowest = (with_width(mouth(), np.array([width])) for width in (2.0, 0.2))
    np.testing.assert_array_equal(widest, mouth(spread=1.0))
    np.testing.assert_array_equal(narrowest, mouth(pucker=1.0))


def test_what_spread_and_pucker_have_in_common_is_kept():
    equal = with_width(mouth(spread=0.2, pucker=0.4), np.ones(1))
    spread, pucker = (equal[0, MOUTH_SHAPES.index(name)] for name in ("spread", "pucker"))
    assert spread == pytest.approx(0.2)
    assert spread * SPREAD_WIDENS == pytest.approx(pucker * PUCKER_NARROWS)


@pytest.mark.parametrize("late_s", [-0.12, -0.04, 0.0, 0.08])
def test_lag_is_found_across_frame_rates(late_s):
    measured = mixed_sine(np.arange(150) / 30.0)
    predicted = mixed_sine(np.arange(130) / 25.0 - late_s)
    r, lag_s = best_lag(predicted, 25.0, measured, 30.0)
    assert lag_s == pytest.approx(late_s, abs=0.011)
    assert r > 0.98


def test_lag_stays_within_the_limit():
    measured = mixed_sine(np.arange(300) / 30.0)
    predicted = mixed_sine(np.arange(250) / 25.0 - 0.35)
    _, lag_s = best_lag(predicted, 25.0, measured, 30.0)
    assert abs(lag_s) <= 0.16


def test_r_agrees_with_numpy_and_is_nan_for_constant_curves():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 50))
    assert pearson(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert np.isnan(pearson(np.ones(50), b))
    assert np.isnan(best_lag(np.ones(50), 25.0, b, 25.0)[0])


def test_closures_are_counted_where_the_speaker_closes():
    measured = np.ones(100)
    measured[[20, 21, 50, 51, 80, 81]] = 0.0
    predicted = np.ones(100)
    predicted[[20, 21, 51, 52]] = 0.0
    assert closure_accuracy(predicted, 25.0, measured, 25.0, 0.0) == pytest.approx(4 / 6)
    assert np.isnan(closure_accuracy(predicted, 25.0, np.ones(100), 25.0, 0.0))
