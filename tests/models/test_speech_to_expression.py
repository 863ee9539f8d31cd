"""SpeechToExpression: log-mel against librosa, time alignment, chunked processing, invariance to loudness."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sadtalker_ext.models.speech_to_expression import (
    SILENCE_LOG_POWER,
    LogMel,
    SpeechToExpression,
    SpeechToExpressionConfig,
    mel_basis,
    normalize_log_mel,
)


def make_speech_like(seconds, seed=0):
    random = np.random.default_rng(seed)
    times = np.arange(int(seconds * 16000)) / 16000
    tone = sum(np.sin(2 * np.pi * f * times + p) for f, p in zip((180, 700, 1300, 2600), (0, 1, 2, 3), strict=True))
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 3.7 * times)
    return torch.from_numpy((0.05 * tone * syllables + 0.003 * random.normal(size=len(times))).astype(np.float32))[None]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SpeechToExpression(SpeechToExpressionConfig(stem=24, width=32, dilations=(1, 2, 4))).eval()


def test_log_mel_matches_librosa():
    librosa = pytest.importorskip("librosa")
    config = SpeechToExpressionConfig()
    samples = make_speech_like(1.0)
    ours = LogMel(config)(samples)[0].exp().numpy()
    window = np.hanning(config.window + 1)[:-1]
    pieces = librosa.util.frame(samples[0].numpy(), frame_length=config.window, hop_length=config.hop)
    power = np.abs(np.fft.rfft(pieces * (window / window.sum() * 2)[:, None], config.fft, axis=0)) ** 2
    theirs = librosa.filters.mel(
        sr=16000, n_fft=config.fft, n_mels=config.bands, fmin=config.low_hz, fmax=config.high_hz, htk=True, norm=None
    )
    full = theirs.sum(1) > 0.9
    expected = (theirs[full] / theirs[full].sum(1, keepdims=True)) @ power
    np.testing.assert_allclose(ours[full], expected + 1e-10, rtol=2e-3)


def test_every_mel_filter_sums_to_one():
    assert torch.allclose(mel_basis(SpeechToExpressionConfig()).sum(0), torch.ones(80), atol=1e-5)


def test_digital_silence_equals_the_padding_value():
    mel = LogMel(SpeechToExpressionConfig())(torch.zeros(1, 4000))
    assert torch.allclose(mel, torch.full_like(mel, SILENCE_LOG_POWER), atol=1e-4)


def test_output_length_matches_the_documentation(network):
    for frames in (1, 7, 40):
        mel = torch.full((2, 80, 4 * (frames + 2 * network.context)), SILENCE_LOG_POWER)
        assert network(mel).shape == (2, frames, 7)


def test_output_depends_on_its_context_only(network):
    mel = torch.full((1, 80, 4 * (9 + 2 * network.context)), -8.0, requires_grad=True)
    network(mel)[0, 4].sum().backward()
    touched = torch.nonzero(mel.grad[0].abs().sum(0) > 0)[:, 0]
    centre = 4 * (network.context + 4)
    assert touched.min() >= centre - 4 * network.context
    assert touched.max() < centre + 4 * (network.context + 1)


def test_chunks_equal_the_whole(network):
    mel = network.log_mel(make_speech_like(9.0))
    whole = network(mel)
    step = 20
    pieces = [
        network(mel[..., 4 * start : 4 * (start + step + 2 * network.context)])
        for start in range(0, whole.shape[1] - step, step)
    ]
    together = torch.cat(pieces, 1)
    assert (together - whole[:, : together.shape[1]]).abs().max() < 1e-5


def test_normalization_removes_gain_and_microphone_response():
    mel = LogMel(SpeechToExpressionConfig())(make_speech_like(6.0))
    tilt = torch.linspace(-2, 2, 80)[:, None]
    plain, changed = (normalize_log_mel(part, 50)[:, :80] for part in (mel, mel + 3.0 + tilt))
    loud = plain > -1.0
    assert (plain - changed).abs()[loud].max() < 0.02


def test_digital_silence_does_not_count_in_the_mean():
    mel = LogMel(SpeechToExpressionConfig())(make_speech_like(5.0))
    gap = torch.full((1, 80, 200), SILENCE_LOG_POWER)
    continuous = normalize_log_mel(torch.cat([mel, mel], 2), 50)[:, :80]
    interrupted = normalize_log_mel(torch.cat([mel, gap, mel], 2), 50)[:, :80]
    assert interrupted[..., 190:200].mean() == pytest.approx(float(continuous[..., 190:200].mean()), abs=0.15)
