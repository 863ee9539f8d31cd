"""Opening and width from speech: independent of blocks, at the right time, memory that does not grow."""

import numpy as np
import pytest
import torch
from test_speech_motion import blocks, wave

from sadtalker_ext.engines.starter.lip_curves import (
    CONTEXT_FRAMES,
    FRAME_SAMPLES,
    WINDOW_FRAMES,
    LipCurves,
    open_lip_curves,
    stream_features,
)
from sadtalker_ext.models.lip_motion import LipMotion, LipMotionConfig
from sadtalker_ext.models.speech_encoder import FIRST_CENTRE, SAMPLES_PER_FEATURE, SpeechEncoder, SpeechEncoderConfig
from sadtalker_ext.models.voice_detector import VoiceDetector, VoiceDetectorConfig


@pytest.fixture(scope="module")
def shipped():
    return open_lip_curves()


@pytest.mark.parametrize("size", [1000, 16000, 320_001])
def test_blocks_of_any_size_give_the_same_curves(shipped, size):
    samples = wave(12.0)
    whole = shipped.predict(iter([samples]), 300)
    assert whole.lips.shape == (300, 2)
    assert whole.voice.shape == whole.power.shape == (300,)
    for part, expected in zip(shipped.predict(blocks(samples, size), 300), whole, strict=True):
        assert np.abs(part - expected).max() < 1e-4


def test_pieces_of_features_are_those_of_the_whole_clip(shipped):
    """predict() maps each window by itself; LipMotion.forward maps all features at once."""
    samples = wave(9.0)
    parts = list(stream_features(shipped.encoder, shipped.lip_motion.config.layers, iter([samples]), 225))
    assert [len(part.features) for part in parts] == [96, 96, 33]
    features = torch.from_numpy(np.concatenate([part.features for part in parts]))[None]
    power = torch.from_numpy(np.concatenate([part.power for part in parts]))[None]
    whole = shipped.lip_motion(features, power)[0].numpy()
    np.testing.assert_allclose(shipped.predict(iter([samples]), 225).lips, whole, atol=1e-3)


def test_pieces_of_long_clips_have_no_seam(shipped, monkeypatch):
    samples = wave(30.0)
    whole = shipped.predict(iter([samples]), 750).lips
    monkeypatch.setattr("sadtalker_ext.engines.starter.lip_curves.PIECE_FRAMES", 70)
    np.testing.assert_allclose(shipped.predict(iter([samples]), 750).lips, whole, atol=1e-4)


@pytest.mark.parametrize("piece", [30, 70, 200, 1000])
@pytest.mark.parametrize("members", [0, 2])
def test_pieces_of_any_length_give_the_outputs_of_the_whole_clip(monkeypatch, piece, members):
    config = LipMotionConfig(layers=(1,), width=2, slow_frames=1, members=members, units=3, mean_frames=20)
    torch.manual_seed(0)
    encoder = Times(SpeechEncoderConfig(width=2, hidden=4, layers=1, heads=1))
    curves = LipCurves(encoder, LipMotion(config), VoiceDetector(VoiceDetectorConfig(layers=(1,), width=2)))
    samples = np.random.default_rng(0).normal(size=600 * FRAME_SAMPLES).astype(np.float32)
    parts = list(stream_features(encoder, (1,), iter([samples]), 600))
    features, power = (torch.from_numpy(np.concatenate(column))[None] for column in zip(*parts, strict=True))
    monkeypatch.setattr("sadtalker_ext.engines.starter.lip_curves.PIECE_FRAMES", piece)
    with torch.inference_mode():
        whole = curves.lip_motion(features, power)[0].numpy()
    lips = curves.predict(iter([samples]), 600).lips
    np.testing.assert_allclose(lips, whole, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize("frames", [0, 1, WINDOW_FRAMES, WINDOW_FRAMES + 1])
def test_number_of_frames(shipped, frames):
    assert shipped.predict(iter([wave(0.3)]), frames).lips.shape == (frames, 2)


def test_silence_gives_finite_curves(shipped):
    assert np.isfinite(shipped.predict(iter([np.zeros(32000, np.float32)]), 50).lips).all()


class Times(SpeechEncoder):
    """An encoder whose features are the times of their centres, in samples from the start of the window."""

    def layer_outputs(self, samples, layers):
        count = (samples.shape[1] - 895) // SAMPLES_PER_FEATURE + 1
        centres = FIRST_CENTRE + SAMPLES_PER_FEATURE * torch.arange(count, dtype=torch.float32)
        return [centres[None, :, None].expand(1, count, 2) for _ in layers]


def test_features_of_frame_i_are_those_at_i_over_25_s():
    encoder = Times(SpeechEncoderConfig(width=2, hidden=4, layers=1, heads=1))
    parts = list(stream_features(encoder, (1,), iter([np.zeros(160_000, np.float32)]), 250))
    for number, part in enumerate(parts):
        frames = WINDOW_FRAMES * number + np.arange(len(part.features))
        start = (WINDOW_FRAMES * number - CONTEXT_FRAMES) * FRAME_SAMPLES
        np.testing.assert_allclose(part.features[:, 0] + start, frames * FRAME_SAMPLES, atol=0.05)


def test_power_is_that_of_the_frame():
    encoder = Times(SpeechEncoderConfig(width=2, hidden=4, layers=1, heads=1))
    samples = np.zeros(160_000, np.float32)
    samples[130 * FRAME_SAMPLES : 131 * FRAME_SAMPLES] = 0.5
    power = np.concatenate([part.power for part in stream_features(encoder, (1,), iter([samples]), 250)])
    assert power[130] == pytest.approx(0.25)
    assert np.count_nonzero(power) == 1


def test_sound_is_read_as_the_frames_need_it():
    """After each window at most its own samples and its context have been read: an hour needs no more memory."""
    encoder = Times(SpeechEncoderConfig(width=2, hidden=4, layers=1, heads=1))
    network = LipMotion(LipMotionConfig(layers=(1,), width=2))
    read = 0

    def second():
        nonlocal read
        while True:
            read += 1
            yield np.zeros(16000, np.float32)

    for number, _ in enumerate(stream_features(encoder, (1,), second(), 10 * WINDOW_FRAMES)):
        assert read <= (WINDOW_FRAMES * (number + 1) + CONTEXT_FRAMES) / 25 + 1.1
    detector = VoiceDetector(VoiceDetectorConfig(layers=(1,), width=2))
    assert LipCurves(encoder, network, detector).predict(second(), 100).lips.shape == (100, 2)
