"""Blinks, brows and gaze: human timing, seeds, scale and places."""

import numpy as np
import pytest

from sadtalker_ext.engines.starter.eyes_and_brows import blink_tracks, brow_track, draw_blinks, gaze_tracks

MINUTES = 40
NO_PHRASES = np.zeros(0)


def test_blink_rate_and_intervals_match_published_figures() -> None:
    starts = np.array([b.begin_s for b in draw_blinks(60.0 * MINUTES, np.random.default_rng(0), NO_PHRASES)])
    gaps = np.diff(starts)
    rate = len(starts) / MINUTES
    assert 14 < rate < 24
    assert 3.0 < gaps.mean() < 4.0
    single = np.log(gaps[gaps > 0.9])
    assert abs(np.mean((single - single.mean()) ** 3)) / single.std() ** 3 < 0.5


def test_lids_close_faster_than_they_open() -> None:
    for blink in draw_blinks(600.0, np.random.default_rng(1), NO_PHRASES):
        length_s = blink.end_s - blink.begin_s
        assert 0.15 <= length_s <= 0.4
        assert blink.closing_s < 0.8 * blink.opening_s
        assert 0.4 < blink.depth <= 1.0


def test_phrase_ends_attract_blinks() -> None:
    ends = np.arange(5.0, 60.0 * MINUTES, 5.0)
    starts = np.array([b.begin_s for b in draw_blinks(60.0 * MINUTES, np.random.default_rng(2), ends)])
    near = np.mean(np.min(np.abs(starts[:, None] - ends[None, :]), axis=1) < 0.25)
    assert near > 2.0 * (0.5 / 5.0)
    without = draw_blinks(60.0 * MINUTES, np.random.default_rng(2), NO_PHRASES)
    assert len(without) < len(starts) < 26 * MINUTES


@pytest.mark.parametrize("frames", [1, 2, 5, 21, 26, 250, 1500])
@pytest.mark.parametrize("seed", [0, 1])
def test_any_length_starts_and_ends_open(frames: int, seed: int) -> None:
    tracks = blink_tracks(frames, np.random.default_rng(seed), 1.0, [frames // 2, frames])
    assert tracks.shape == (frames, 2)
    assert tracks.dtype == np.float32
    assert np.all((tracks >= 0) & (tracks <= 1))
    assert np.all(tracks[0] == 0)
    assert np.all(tracks[-1] < 0.25)


def test_scale_changes_neither_the_blinks_nor_the_number_of_draws() -> None:
    rngs = [np.random.default_rng(5) for _ in range(3)]
    none, half, full = (blink_tracks(1000, rng, scale) for rng, scale in zip(rngs, (0.0, 0.5, 1.0), strict=True))
    assert none.max() == 0
    np.testing.assert_allclose(half, 0.5 * full)
    assert full.max() > 0.99
    assert len({rng.random() for rng in rngs}) == 1


def test_complete_blinks_close_and_the_eyes_differ_slightly() -> None:
    rng = np.random.default_rng(6)
    events = draw_blinks(120.0, np.random.default_rng(6), NO_PHRASES)
    tracks = blink_tracks(3000, rng)
    for event in events:
        first, last = int(event.begin_s * 25), int(event.end_s * 25) + 2
        assert tracks[first:last].max() > 0.8 * event.depth
    assert 0 < np.abs(tracks[:, 0] - tracks[:, 1]).max() < 0.5
    assert np.corrcoef(tracks.T)[0, 1] > 0.97


def test_brows_follow_strong_emphasis_only() -> None:
    times = np.arange(1500)
    strong = sum(np.exp(-0.5 * ((times - p) / 2.0) ** 2) for p in range(60, 1500, 60)).astype(np.float32)
    track = brow_track(strong, np.random.default_rng(0))
    assert 0.2 < track.max() <= 1.0
    rises = np.flatnonzero((track[1:] > 0.02) & (track[:-1] <= 0.02))
    assert len(rises) >= 10
    assert np.all(np.abs((rises - 60 + 30) % 60 - 30 + 5) <= 4), "a rise begins about 0.2 s before its syllable"
    assert brow_track(0.2 * strong, np.random.default_rng(0)).max() == 0
    assert track[0] == 0


def test_gaze_starts_ahead_and_compensates_head_turns() -> None:
    still = np.zeros((5000, 3), np.float32)
    gaze = gaze_tracks(still, np.random.default_rng(0))
    assert np.all(gaze[0] == 0)
    assert np.mean(np.abs(gaze) < 0.1) > 0.85
    assert np.abs(gaze).max() <= 0.5
    turned = still.copy()
    turned[100:, 1] = 0.1
    turned[100:, 0] = -0.05
    moved = gaze_tracks(turned, np.random.default_rng(0)) - gaze
    assert np.all(moved[100:, 0] < -0.05)
    assert np.all(moved[100:, 1] > 0.02)


def test_same_seed_same_tracks() -> None:
    def draw(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        blink = blink_tracks(500, rng, 1.0, [100, 300])
        gaze = gaze_tracks(np.zeros((500, 3), np.float32), rng, [120])
        return np.hstack([blink, gaze])

    np.testing.assert_array_equal(draw(4), draw(4))
    assert np.abs(draw(4) - draw(5)).max() > 0.1
