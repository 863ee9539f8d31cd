"""The speech encoder: Moonshine's numbers, the places of its features, and what it reads."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from sadtalker_ext.models.speech_encoder import (
    FIRST_CENTRE,
    RECEPTIVE_FIELD,
    SAMPLES_PER_FEATURE,
    SpeechEncoder,
    SpeechEncoderConfig,
    feature_count,
    rotary_angles,
    rotate,
)
from sadtalker_ext.weights.convert_moonshine import SOURCE
from sadtalker_ext.weights.speech_encoder import load_speech_encoder

ROWS, COLUMNS = [0, 10, 20, 30, 38], [0, 50, 100, 150, 200, 287]
MOONSHINE = np.array([
    [-0.1695, 0.2541, 0.6035, -0.2384, -0.2417, 0.0328], [0.0019, 0.1916, 0.5622, -0.3306, -0.0202, 0.1068],
    [-0.0147, 0.3172, 0.4943, -0.0247, -0.0888, -0.0668], [0.0159, 0.359, 0.4835, -0.0558, -0.1237, -0.1718],
    [0.0517, 0.2709, 0.0787, 0.0056, -0.0398, -0.0414],
])  # fmt: skip
"""Features of :func:`chirps` by ONNX Runtime 1.32, with the published graph and float32 activations."""
TOLERANCE = 0.003
"""Convolutions are stored in half precision; features have a standard deviation of 0.5."""


def chirps():
    t = np.arange(16000) / 16000
    first = 0.1 * np.sin(2 * np.pi * (120 * t + 400 * t * t))
    second = 0.05 * np.sin(2 * np.pi * (900 * t + 700 * t * t)) * np.sin(2 * np.pi * 4 * t)
    return torch.from_numpy((first + second).astype(np.float32))[None]


@pytest.fixture(scope="module")
def encoder():
    return load_speech_encoder()


@pytest.fixture
def small():
    torch.manual_seed(0)
    return SpeechEncoder(SpeechEncoderConfig(width=24, hidden=32, layers=3, heads=2)).eval()


def test_features_are_those_of_moonshine(encoder):
    features = encoder(chirps())[0]
    assert features.shape == (40, 288)
    np.testing.assert_allclose(features[ROWS][:, COLUMNS], MOONSHINE, atol=TOLERANCE)


@pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None or importlib.util.find_spec("moonshine_voice") is None,
    reason="needs onnxruntime and moonshine_voice",
)
def test_features_are_near_those_of_the_installed_runtime(encoder):
    """The runtime also rounds activations to 8 bit, which changes features by about 3 percent."""
    import onnxruntime

    folder = Path(importlib.util.find_spec("moonshine_voice").submodule_search_locations[0]).parent
    session = onnxruntime.InferenceSession(str(folder / SOURCE))
    samples = chirps()
    inputs = {"input_values": samples.numpy(), "attention_mask": np.ones(samples.shape, np.int64)}
    expected = torch.from_numpy(session.run(None, inputs)[0])
    assert (encoder(samples) - expected).square().mean().sqrt() < 0.06 * expected.std()


@pytest.mark.parametrize("samples", [RECEPTIVE_FIELD - 1, RECEPTIVE_FIELD, 1279, 5000])
def test_feature_count(small, samples):
    if samples < RECEPTIVE_FIELD:
        assert feature_count(samples) == 0
    else:
        assert small(torch.zeros(1, samples)).shape == (1, feature_count(samples), 24)


def test_place_of_a_feature(small):
    """The first convolutions see a click only in the features whose receptive field covers it."""
    small.groupnorm = torch.nn.Identity()
    for layer in small.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
    quiet, number = torch.zeros(1, 8000), 7
    at = round(FIRST_CENTRE + number * SAMPLES_PER_FEATURE)
    clicked = quiet.clone()
    clicked[0, at] = 1.0
    changed = (small(clicked) - small(quiet)).abs().amax(-1)[0] > 1e-6
    assert changed[number]
    found = torch.nonzero(changed)[:, 0]
    assert (at - FIRST_CENTRE - RECEPTIVE_FIELD / 2) / SAMPLES_PER_FEATURE <= found.min()
    assert found.max() <= (at - FIRST_CENTRE + RECEPTIVE_FIELD / 2) / SAMPLES_PER_FEATURE


def test_layer_outputs_lead_to_the_features(small):
    samples = torch.randn(1, 6000, generator=torch.Generator().manual_seed(1)) * 0.1
    first, last = small.layer_outputs(samples, (1, 3))
    torch.testing.assert_close(small.layer_norm(last), small(samples))
    assert first.shape == last.shape
    assert not torch.allclose(first, last)
    torch.testing.assert_close(small.layer_outputs(samples, (1,))[0], first)


def test_rotation_depends_on_the_distance_only():
    """Products of rotated vectors depend on the difference of their positions (Su et al. 2021, equation 16)."""
    generator = torch.Generator().manual_seed(2)
    query, key = (torch.randn(1, 1, 1, 36, generator=generator) for _ in range(2))
    angles = rotary_angles(40, 36)
    turned = [
        float((rotate(query, angles[at : at + 1]) * rotate(key, angles[at + 7 : at + 8])).sum()) for at in (0, 5, 30)
    ]
    assert turned == pytest.approx([turned[0]] * 3, abs=1e-4)
    torch.testing.assert_close(rotate(query, angles[:1]), query)
    assert angles.shape == (40, 16)
