"""Speech in blocks to mouth coefficients: no seam, right times, rest in silence, few operations, right on sounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sadtalker_ext.engines.starter.speech_motion import (
    CHUNK_FRAMES,
    CLOSURE_RAISES_JAW,
    JAW_GAIN,
    SpeechToMotion,
    gate_closures,
    open_speech_to_motion,
)
from sadtalker_ext.metrics.sync import mouth_opening
from sadtalker_ext.models.speech_to_expression import SpeechToExpression, SpeechToExpressionConfig
from sadtalker_ext.puppet.basis import MOUTH_SHAPES


@pytest.fixture(scope="module")
def shipped():
    return open_speech_to_motion()


def wave(seconds, seed=0):
    random = np.random.default_rng(seed)
    times = np.arange(int(seconds * 16000)) / 16000
    pitch = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * times)) / 16000
    voice = sum(np.sin(k * pitch) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3.3 * times), 0, 1)
    return (0.05 * voice * syllables + 0.001 * random.normal(size=len(times))).astype(np.float32)


def blocks(samples, size):
    return iter([samples[start : start + size] for start in range(0, len(samples), size)])


@pytest.mark.parametrize("size", [1000, 16000, 320_001])
def test_blocks_of_any_size_give_the_same_frames(shipped, size):
    samples = wave(25.0)
    frames = 625
    assert frames > 2 * CHUNK_FRAMES
    whole = shipped.predict(iter([samples]), frames)
    assert np.abs(shipped.predict(blocks(samples, size), frames) - whole).max() < 1e-5


def test_no_seam_between_chunks(shipped, monkeypatch):
    samples = wave(25.0)
    cut = shipped.predict(iter([samples]), 625)
    monkeypatch.setattr("sadtalker_ext.engines.starter.speech_motion.CHUNK_FRAMES", 10_000)
    assert np.abs(shipped.predict(iter([samples]), 625) - cut).max() < 1e-5


def test_frame_i_is_centred_on_i_over_25_s():
    torch.manual_seed(0)
    network = SpeechToExpression(SpeechToExpressionConfig(stem=8, width=8, dilations=(1,)))
    inputs = []
    network.forward = lambda mel: inputs.append(mel) or torch.zeros(1, mel.shape[-1] // 4 - 2 * network.context, 7)
    click = np.zeros(16000, np.float32)
    click[12 * 640] = 1.0
    SpeechToMotion(network).predict(iter([click]), 25)
    loudness = inputs[0][0].detach().exp().sum(0).numpy()
    assert int(loudness.argmax()) == 4 * (network.context + 12)


def test_number_of_frames(shipped):
    assert shipped.predict(iter([wave(1.0)]), 25).shape == (25, len(MOUTH_SHAPES))
    assert shipped.predict(iter([]), 3).shape == (3, len(MOUTH_SHAPES))
    assert shipped.predict(iter([wave(0.1)]), 0).shape == (0, len(MOUTH_SHAPES))


def test_mouth_rests_in_silence_and_moves_in_speech(shipped):
    voice = wave(4.0)
    samples = np.concatenate([voice, np.zeros(32000, np.float32)])
    opening = mouth_opening(shipped.predict(iter([samples]), 150))
    speaking = opening[10:100].mean()
    assert speaking > 0.05
    assert opening[107:].max() < 0.1 * speaking


@pytest.mark.parametrize("level", [0.002, 0.02, 0.1])
def test_noise_without_a_voice_keeps_the_mouth_closed(shipped, level):
    noise = level * np.random.default_rng(1).normal(size=80_000)
    speaking = mouth_opening(shipped.predict(iter([wave(4.0)]), 100)).mean()
    assert mouth_opening(shipped.predict(iter([noise.astype(np.float32)]), 125)).mean() < 0.1 * speaking


def test_uncertain_closures_are_gated_and_the_smile_is_zero():
    curves = np.full((3, 7), 0.3, np.float32)
    curves[:, 1] = (0.0, 0.15, 0.9)
    mouth = gate_closures(curves)
    closed = mouth[:, MOUTH_SHAPES.index("lips_closed")]
    assert closed[0] == 0.0
    assert 0.0 < closed[1] < 1.0
    assert closed[2] == 1.0
    assert not mouth[:, MOUTH_SHAPES.index("smile")].any()
    jaw = mouth[:, MOUTH_SHAPES.index("jaw_open")]
    np.testing.assert_allclose(jaw[:2], JAW_GAIN * (0.3 - CLOSURE_RAISES_JAW * curves[:2, 1]), rtol=1e-5)
    assert jaw[2] == 0.0
    assert gate_closures(np.ones((1, 7), np.float32)).max() == 1.0


def operations_per_second_of_sound(shipped, seconds):
    with FlopCounterMode(display=False) as counter:
        shipped.predict(iter([wave(seconds)]), round(25 * seconds))
    return counter.get_total_flops() / seconds


def test_operations_per_second_of_audio(shipped):
    """80 million: 50 times real time on a core that does 4 billion per second. Counted, because a clock measures the
    machine and its load too. Blocks overlap, and the share that is computed twice does not grow with the length."""
    short, long = (operations_per_second_of_sound(shipped, seconds) for seconds in (30.0, 90.0))
    assert 1e6 < short < 80e6
    assert long < 1.1 * short
