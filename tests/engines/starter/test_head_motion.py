"""Head motion by the shipped network: human amounts, no seams, no drift, styles that differ, one seed."""

import time

import numpy as np
import pytest
import torch

from sadtalker_ext.engines.starter import POSE_STYLES
from sadtalker_ext.engines.starter.head_motion import head_motion, style_index
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.metrics.motion import beat_alignment, fast_share, jitter_deg_per_s3, kinematic_beats, speech_beats
from sadtalker_ext.training.starter.head_motion_data import simulate_head_motion, simulate_prosody
from sadtalker_ext.training.starter.head_styles import HEAD_STYLES
from sadtalker_ext.weights.starter import load_pose_cvae

TEN_MINUTES = 15000


@pytest.fixture(scope="module")
def network():
    return load_pose_cvae()


@pytest.fixture(scope="module")
def prosody():
    return simulate_prosody(TEN_MINUTES, np.random.default_rng(99))


@pytest.fixture(scope="module")
def long_motion(network, prosody):
    return {style: head_motion(network, prosody, style, np.random.default_rng(5)) for style in POSE_STYLES}


def test_styles_are_those_of_the_shipped_network(network):
    assert network.config.styles == POSE_STYLES == tuple(HEAD_STYLES)
    assert len(POSE_STYLES) >= 8


@pytest.mark.parametrize("frames", [1, 2, 23, 24, 25, 26, 33, 100])
def test_any_length_starts_in_the_source_pose(network, frames: int):
    prosody = simulate_prosody(frames, np.random.default_rng(1))
    rotation, translation = head_motion(network, prosody, "natural", np.random.default_rng(2))
    assert rotation.shape == translation.shape == (frames, 3)
    assert rotation.dtype == translation.dtype == np.float32
    assert np.all(rotation[0] == 0)
    assert np.all(translation[0] == 0)
    if frames > 1:
        assert np.rad2deg(np.abs(rotation[:2])).max() < 0.3


def test_same_seed_same_motion_and_the_future_does_not_change_the_past(network):
    prosody = simulate_prosody(300, np.random.default_rng(1))
    first, again, other = (head_motion(network, prosody, 3, np.random.default_rng(seed))[0] for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert np.rad2deg(np.abs(first - other)).max() > 1.0


def test_motion_range_is_natural(long_motion):
    for style, (rotation, translation) in long_motion.items():
        angles = np.rad2deg(rotation)
        assert np.abs(angles[:, 1]).max() < 10, style
        assert np.abs(angles).max() < 10, style
        assert 0.4 < angles.std(axis=0).max() < 4.5, style
        assert np.abs(translation).max() < 0.09, style
        assert fast_share(rotation) < 0.03, style
    natural = np.rad2deg(long_motion["natural"][0]).std(axis=0)
    assert 1.5 < natural[:2].mean() < 3.2


def test_chunk_joins_are_smooth(network, long_motion):
    hop, overlap = network.config.hop, network.config.overlap
    for style, (rotation, _) in long_motion.items():
        acceleration = np.linalg.norm(np.diff(rotation[200:], n=2, axis=0), axis=1)
        phase = (np.arange(len(acceleration)) + 200) % hop
        profile = np.array([acceleration[phase == k].mean() for k in range(hop)])
        around_join = (np.arange(hop) <= 2) | (np.arange(hop) >= hop - overlap - 1)
        assert profile[around_join].mean() < 1.15 * profile[~around_join].mean(), style
        assert profile.max() < 1.4 * profile.mean(), style


def test_no_drift_over_ten_minutes(long_motion):
    for style, (rotation, translation) in long_motion.items():
        minutes = np.rad2deg(rotation).reshape(10, 1500, 3).mean(axis=1)
        slope = np.polyfit(np.arange(10), minutes, 1)[0]
        assert np.abs(slope * 9).max() < 2.5, style
        assert np.abs(translation.reshape(10, 1500, 3).mean(axis=1)).max() < 0.06, style


def test_styles_differ_visibly(long_motion):
    def signature(rotation, translation):
        angles = np.rad2deg(rotation[100:])
        speed = 25 * np.abs(np.diff(angles, axis=0)).mean(axis=0)
        return np.concatenate([np.abs(angles.mean(axis=0)), angles.std(axis=0), 0.5 * speed])

    signatures = {style: signature(*motion) for style, motion in long_motion.items()}
    names = list(signatures)
    distances = {
        (a, b): np.linalg.norm(signatures[a] - signatures[b]) for i, a in enumerate(names) for b in names[i + 1 :]
    }
    assert min(distances.values()) > 0.5, min(distances, key=distances.get)
    assert jitter_deg_per_s3(long_motion["lively"][0]) > 2 * jitter_deg_per_s3(long_motion["calm"][0])
    nodding, swaying = (np.rad2deg(long_motion[style][0]).std(axis=0) for style in ("nodding", "swaying"))
    assert nodding[0] > 1.3 * nodding[1]
    assert swaying[2] > 1.5 * swaying[0]
    assert np.rad2deg(long_motion["shy"][0][:, 0]).mean() > 2.5


def test_motion_follows_the_speech(long_motion, prosody):
    beats = speech_beats(prosody.emphasis, 0.5)
    pitch = np.rad2deg(long_motion["nodding"][0][:, 0])
    beats = beats[(beats > 60) & (beats < len(pitch) - 20)]
    assert (pitch[beats + 1] - pitch[beats - 7]).mean() > 1.5
    aligned = beat_alignment(beats, kinematic_beats(long_motion["nodding"][0]))
    moved = beat_alignment((beats + 3000) % TEN_MINUTES, kinematic_beats(long_motion["nodding"][0]))
    assert aligned > moved + 0.05


def test_spread_matches_the_training_data(long_motion, prosody):
    for style in POSE_STYLES:
        data = simulate_head_motion(prosody, HEAD_STYLES[style], np.random.default_rng(3))[:, :3]
        ratio = long_motion[style][0].std(axis=0).mean() / data.std(axis=0).mean()
        assert 0.6 < ratio < 1.5, style


def test_cost_is_linear_in_the_length(network, prosody):
    """Ten times the speech takes about 10 times the CPU time in the same run; quadratic cost would be 100 times."""
    start = simulate_prosody(TEN_MINUTES // 10, np.random.default_rng(99))

    def cost_s(part):
        started = time.process_time()
        head_motion(network, part, "natural", np.random.default_rng(0))
        return time.process_time() - started

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # process time counts idle threads that spin
    try:
        spent_s = [(cost_s(start), cost_s(prosody)) for _ in range(3)]
    finally:
        torch.set_num_threads(threads)
    short_s, long_s = map(min, zip(*spent_s, strict=True))
    assert long_s < 30 * short_s


def test_style_by_name_or_number():
    assert style_index("lively", POSE_STYLES) == style_index(2, POSE_STYLES) == style_index("2", POSE_STYLES) == 2
    for wrong in ("angry", 99, "-1", ""):
        with pytest.raises(SettingsError, match="choose one of natural"):
            style_index(wrong, POSE_STYLES)
