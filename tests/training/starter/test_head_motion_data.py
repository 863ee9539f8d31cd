"""Synthetic head motion has human amplitudes, spectrum and coupling; synthetic prosody resembles measured prosody."""

import numpy as np
import pytest

from sadtalker_ext.audio.prosody import prosody_features
from sadtalker_ext.metrics.motion import beat_alignment, fast_share, speech_beats
from sadtalker_ext.training.starter.head_motion_data import simulate_head_motion, simulate_prosody
from sadtalker_ext.training.starter.head_styles import HEAD_STYLES


def simulate_minutes(style: str, count: int = 3, seed: int = 0):
    rng = np.random.default_rng(seed)
    prosody = simulate_prosody(1500 * count, rng)
    return prosody, simulate_head_motion(prosody, HEAD_STYLES[style], rng)


@pytest.mark.parametrize("style", list(HEAD_STYLES))
def test_amplitudes_are_human(style: str):
    _, pose = simulate_minutes(style)
    assert np.all(pose[0] == 0)
    angles = np.rad2deg(pose[:, :3])
    assert np.abs(angles).max() < 10
    assert np.abs(pose[:, 3:]).max() < 0.08
    assert 0.4 < angles.std(axis=0).max() < 4.5
    assert fast_share(pose[:, :3]) < 0.05
    speed = np.abs(np.diff(angles, axis=0)).max() * 25
    assert speed < 90, "degrees per second"


def test_natural_style_is_moderate():
    spreads = np.mean([np.rad2deg(simulate_minutes("natural", seed=s)[1][:, :3]).std(axis=0) for s in range(3)], axis=0)
    assert 1.5 < spreads[0] < 3.0
    assert 2.0 < spreads[1] < 3.5
    assert 1.0 < spreads[2] < 2.5


def test_nods_go_down_on_emphasis():
    prosody, pose = simulate_minutes("nodding")
    beats = speech_beats(prosody.emphasis, 0.5)
    beats = beats[(beats > 60) & (beats < len(pose) - 10)]
    before, on, after = (pose[beats + lag, 0].mean() for lag in (-7, 1, 9))
    assert on - before > np.deg2rad(2.5)
    assert on - after > np.deg2rad(2.5)
    shuffled = np.random.default_rng(0).integers(60, len(pose) - 10, len(beats))
    assert abs(pose[shuffled + 1, 0].mean() - pose[shuffled - 7, 0].mean()) < np.deg2rad(1.0)
    assert beat_alignment(beats, beats) == 1.0


def test_head_moves_more_in_speech_than_in_silence():
    prosody, pose = simulate_minutes("natural", 5)
    speed = np.linalg.norm(np.diff(pose[:, :3], axis=0), axis=1)
    silent = prosody.speech[1:] < 0.05
    deep = np.convolve(silent, np.ones(21), mode="same") > 20.5
    assert speed[prosody.speech[1:] > 0.9].mean() > 1.5 * speed[deep].mean()


def test_styles_have_their_mean_postures():
    means = {style: np.rad2deg(simulate_minutes(style)[1][200:, :3].mean(axis=0)) for style in HEAD_STYLES}
    assert means["shy"][0] > 2.5
    assert means["confident"][0] < -1.5
    assert means["attentive"][2] > 2.0
    assert np.abs(means["natural"]).max() < 2.0


def test_simulated_prosody_has_the_statistics_of_speech():
    prosody = simulate_prosody(30000, np.random.default_rng(0))
    talking = prosody.speech > 0.9
    assert 0.55 < prosody.energy[talking].mean() < 0.75
    assert 0.18 < prosody.energy[talking].std() < 0.35
    assert 1.5 < prosody.pitch_st[talking].std() < 3.5
    per_second = len(speech_beats(prosody.emphasis)) / talking.sum() * 25
    assert 1.2 < per_second < 2.8
    assert 12 < len(prosody.phrase_ends) / 20 < 30
    features = prosody_features(prosody)
    assert features.shape == (30000, 6)
    assert np.abs(features).max() <= 2.0
