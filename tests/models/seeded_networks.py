"""Seeded weights of public networks, and values that the public code computes with them.

``measure_networks.json`` was recorded once with the code of joonson/syncnet_python, deepinsight/insightface,
mseitzer/pytorch-fid and python_speech_features 0.6, whose networks were given the weights of :func:`seeded_state`. The
inputs are those of the functions below, so the values can be recorded again with any checkout of these projects.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch

from sadtalker_ext.weights.random_weights import normal, random_state, uniform

PUBLIC = json.loads((Path(__file__).parent / "measure_networks.json").read_text(encoding="utf-8"))
FRAMES = 26
GAINS = {"iresnet.": 1.0}
"""Factor on the weights: the square root of 2 keeps the level behind ReLU; residual sums must not grow."""


def seeded_state(prefix, network):
    """Return ``random_state`` with kernels of mean 0 per output, so that outputs depend strongly on the inputs."""
    gain = GAINS.get(prefix, math.sqrt(2.0))

    def spread(value):
        if value.ndim < 2:
            return value
        exact = value.double().numpy()
        centred = gain * (exact - exact.mean(axis=tuple(range(1, exact.ndim)), keepdims=True))
        return torch.from_numpy(centred.astype(np.float32))

    return {key: spread(value) for key, value in random_state(prefix, network).items()}


def s3fd_state(network):
    """Return weights of S3FD with which a few dozen cells see faces of about their own size."""
    factors = {"loc": np.float32(0.1), "conf": np.float32(40)}
    state = seeded_state("s3fd.", network)
    return {key: value * factors.get(key.partition(".")[0], np.float32(1)) for key, value in state.items()}


def scenery():
    """Return a picture (192, 240, 3): noise of 24 x 30 squares."""
    small = np.floor(256 * uniform("scenery", (24, 30, 3))).astype(np.uint8)
    return small.repeat(8, axis=0).repeat(8, axis=1)


def faces():
    return torch.from_numpy(np.floor(256 * uniform("faces", (2, 3, 5, 224, 224))))


def coefficients():
    return torch.from_numpy(8 * normal("mfcc", (2, 1, 13, 20)))


def aligned():
    return torch.from_numpy(2 * uniform("aligned", (2, 3, 112, 112)) - 1)


def pictures():
    return torch.from_numpy(uniform("pictures", (2, 3, 120, 160)))


def film():
    """Return RGB frames (26, 224, 224, 3): noise of 28 x 28 squares with a brightness that changes."""
    small = 256 * uniform("film", (FRAMES, 28, 28, 3)) * uniform("light", (FRAMES, 1, 1, 1)) ** 2
    return np.floor(small).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)


def voice():
    """Return samples (26 * 640,) int16: noise whose level changes with each frame."""
    level = np.repeat(uniform("level", (FRAMES,)), 640)
    return np.clip(6000 * normal("voice", (FRAMES * 640,)) * level, -32768, 32767).astype(np.int16)


def assert_public(features, name, rtol=1e-4):
    """Compare features (2, D) with the recorded ones; errors are relative to the largest value."""
    expected, exact = PUBLIC["networks"][name], features.double()
    values = torch.tensor(expected["values"], dtype=torch.float64)
    torch.testing.assert_close(exact[:, ::64], values, rtol=0, atol=rtol * float(values.abs().max()))
    norms = torch.tensor(expected["norm"], dtype=torch.float64)
    torch.testing.assert_close(exact.norm(dim=1), norms, rtol=rtol, atol=0)
    assert abs(float((exact[1] - exact[0]).norm()) / expected["distance"] - 1) < rtol
