"""Amount of motion: that of real speakers, smooth, and only where it belongs."""

import numpy as np
import pytest

from sadtalker_ext.audio.prosody import Prosody
from sadtalker_ext.engines.starter import lively_motion
from sadtalker_ext.engines.starter.eyes_and_brows import brow_track
from sadtalker_ext.engines.starter.head_motion import head_motion
from sadtalker_ext.engines.starter.lively_motion import (
    add_liveliness,
    brow_motion,
    lean_track,
    liveliness,
)
from sadtalker_ext.metrics.motion import fast_share
from sadtalker_ext.training.starter.head_motion_data import simulate_prosody
from sadtalker_ext.weights.starter import load_pose_cvae

MINUTE = 1500
TRACKED_RAISE, TRACKED_FROWN = 0.049, 0.021
"""What a face tracker sees of a full raise and a full frown in finished videos, in distances of the eyes."""
REAL_DEG = (2.9, 3.9, 2.5)
REAL_HEIGHTS = (0.039, 0.047)
"""Mean standard deviations of 14 speakers on video: pitch, yaw, roll, and x and y of the face's centre."""
CENTRE_ABOVE_PIVOT, CENTRE_BEFORE_PIVOT = 0.42, 0.17
"""Where the centre of the face is, seen from the neck about which it turns, in face heights."""


@pytest.fixture(scope="module")
def clips():
    """Head motion in 16 clips of ten seconds, before and after."""
    network = load_pose_cvae()
    motions = []
    for seed in range(16):
        prosody = simulate_prosody(250, np.random.default_rng(seed))
        plain = head_motion(network, prosody, "natural", np.random.default_rng(seed))
        motions.append((plain, add_liveliness(*plain, np.random.default_rng(seed))))
    return motions


def rng():
    return np.random.default_rng(3)


def prosody_with(starts, ends, frames=200):
    flat = np.zeros(frames, np.float32)
    names = dict.fromkeys(Prosody.__dataclass_fields__, flat)
    edges = {"phrase_starts": np.array(starts, np.int64), "phrase_ends": np.array(ends, np.int64)}
    return Prosody(**{**names, **edges})


def test_head_moves_as_much_as_that_of_real_speakers(clips):
    angles, places = [], []
    for _, (rotation, translation) in clips:
        angles.append(np.rad2deg(rotation).std(axis=0))
        x = translation[:, 0] + CENTRE_ABOVE_PIVOT * rotation[:, 2] + CENTRE_BEFORE_PIVOT * rotation[:, 1]
        y = translation[:, 1] + CENTRE_BEFORE_PIVOT * rotation[:, 0]
        places.append((x.std(), y.std()))
    np.testing.assert_allclose(np.mean(angles, axis=0), REAL_DEG, rtol=0.35)
    np.testing.assert_allclose(np.mean(places, axis=0), REAL_HEIGHTS, rtol=0.35)


def test_nods_lower_the_head(clips):
    r = [np.corrcoef(rotation[:, 0], translation[:, 1])[0, 1] for _, (rotation, translation) in clips]
    assert np.mean(r) > 0.4


def test_lively_motion_is_smooth_limited_and_starts_in_the_source_pose(clips):
    for _, (rotation, translation) in clips:
        assert np.all(rotation[0] == 0)
        assert np.all(translation[0] == 0)
        assert np.all(np.abs(rotation) < lively_motion.ROTATION_LIMIT_RAD)
        assert np.all(np.abs(translation) < lively_motion.TRANSLATION_LIMIT)
        assert fast_share(rotation) < 0.03
        assert np.abs(np.diff(translation, axis=0)).max() < 0.035


def test_no_amount_changes_only_the_limits(clips):
    rotation, translation = clips[0][0]
    still, placed = add_liveliness(rotation, translation, rng(), amount=0.0)
    np.testing.assert_allclose(still, rotation, atol=0.012)
    np.testing.assert_allclose(placed, translation, atol=0.015)


def brows_at_rest(frames, random):
    return brow_motion(np.zeros(frames, np.float32), np.zeros(frames, np.float32), random)


@pytest.mark.parametrize(("track", "spread"), [(lean_track, 0.028), (brows_at_rest, 0.15)])
def test_tracks_have_any_length_and_do_not_drift(track, spread):
    for frames in (0, 1, 2, 30):
        assert track(frames, rng()).shape == (frames, 2)
        assert np.all(track(frames, rng())[:1] == 0)
    long = track(30 * MINUTE, rng())
    assert long.std() > spread
    assert np.abs(np.diff(long, axis=0)).max() < 0.35
    minutes = long.reshape(30, MINUTE, 2).mean(axis=1)
    assert np.abs(np.polyfit(np.arange(30), minutes, 1)[0] * 29).max() < 0.1


def test_brows_rise_or_fall_but_not_both():
    raises = np.clip(np.sin(np.arange(MINUTE) / 9.0), 0.0, 1.0).astype(np.float32)
    brows = brow_motion(raises, np.zeros(MINUTE, np.float32), rng())
    assert brows.min() == 0
    assert brows.max() <= 1
    assert np.all(brows.min(axis=1) == 0)
    assert np.all((brows > 0.2).mean(axis=0) > 0.05)
    still = brow_motion(raises, np.zeros(MINUTE, np.float32), rng(), amount=0.0)
    np.testing.assert_array_equal(still[:, 0], raises)


def test_brows_move_as_far_and_as_fast_as_those_of_real_speakers():
    """Nine speakers on video: standard deviation 0.012 to 0.044, mean 0.028; 0.78 of it below 1 Hz, 0.15 up to 2 Hz."""
    spreads, shares = [], []
    for seed in range(12):
        prosody = simulate_prosody(250, np.random.default_rng(seed))
        raises = brow_track(prosody.emphasis, np.random.default_rng(seed))
        up, down = brow_motion(raises, prosody.pitch_st, np.random.default_rng(100 + seed)).T
        height = TRACKED_RAISE * up - TRACKED_FROWN * down
        power = np.square(np.abs(np.fft.rfft((height - height.mean()) * np.hanning(len(height)))))
        hz = np.fft.rfftfreq(len(height), 1 / 25)
        spreads.append(height.std())
        shares.append([power[hz < limit].sum() / power.sum() for limit in (1.0, 2.0)])
    assert 0.75 * 0.028 < np.mean(spreads) < 1.25 * 0.028
    np.testing.assert_allclose(np.mean(shares, axis=0), (0.78, 0.93), atol=0.08)


def test_brows_follow_the_pitch_in_part():
    pitch_st = (4.0 * np.sin(np.arange(5 * MINUTE) / 25.0)).astype(np.float32)
    brows = brow_motion(np.zeros(len(pitch_st), np.float32), pitch_st, rng())
    r = np.corrcoef(brows[:, 0] - brows[:, 1], pitch_st)[0, 1]
    assert 0.15 < r < 0.7


def test_silent_people_move_less():
    assert liveliness(prosody_with([0], [200])) == 1
    assert 0 < liveliness(prosody_with([], [])) < 1
