"""Head motion of the starter engine: from prosody, a style and a seed to rotation and translation.

The network generates chunks of 32 frames. Each chunk starts with the last frames of the previous one, which are input
to the network and are cross-faded, so that the joins are as smooth as the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.audio.prosody import Prosody, prosody_features
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.models.pose_cvae import POSE_SIZE, PoseCvae
from sadtalker_ext.weights.errors import checkpoint_error
from sadtalker_ext.weights.starter import load_pose_cvae

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.random import Generator

    from sadtalker_ext.arrays import Float32Array, Float64Array

ROTATION_LIMIT_RAD: Final = (0.17, 0.17, 0.15)
"""Asymptotes of pitch, yaw and roll, just under 10 degrees."""
TRANSLATION_LIMIT: Final = (0.08, 0.05, 0.09)
"""Asymptotes of x, y, z in face heights."""
PROSODY_FEATURES: Final = 6
"""Columns of :func:`~sadtalker_ext.audio.prosody.prosody_features`."""
EASE_IN_FRAMES: Final = 12
"""Frames over which the head leaves the pose of the source picture."""
MIRROR_PROBABILITY: Final = 0.5
"""Probability that a clip is mirrored, so that a style that leans to one side leans equally often to the other."""
_MIRROR: Final = np.array([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])


def style_index(style: str | int, styles: tuple[str, ...]) -> int:
    """Return the index of a style given by its name or number (also as text); SettingsError if it does not exist."""
    if isinstance(style, str) and style in styles:
        return styles.index(style)
    try:
        number = int(style)
    except ValueError:
        number = -1
    if not 0 <= number < len(styles):
        raise SettingsError(
            f"There is no pose style {style!r}; choose one of {', '.join(styles)}, or a number from 0 to "
            f"{len(styles) - 1}"
        )
    return number


def open_pose_cvae(path: Path | None = None) -> PoseCvae:
    """Load the shipped network, or the one in ``path``; WeightsError if it reads other features of the prosody."""
    network = load_pose_cvae(path)
    if path and network.config.features != PROSODY_FEATURES:
        raise checkpoint_error(
            path, f"reads {network.config.features} features of the prosody, not {PROSODY_FEATURES}; train it again "
            "with this version",
        )  # fmt: skip
    return network


def head_motion(
    network: PoseCvae, prosody: Prosody, style: str | int, rng: Generator
) -> tuple[Float32Array, Float32Array]:
    """Return rotation (T, 3) in radians and translation (T, 3) in face heights, with T = ``len(prosody)``.

    style: name or index of one of ``network.config.styles``.
    Both are relative to the source picture and zero in the first frame. All random numbers come from ``rng``.
    """
    config = network.config
    index = style_index(style, config.styles)
    frames = len(prosody)
    chunks = -(-frames // config.hop)
    noise = rng.standard_normal((chunks, config.latent)).astype(np.float32)
    mirrored = rng.random() < MIRROR_PROBABILITY
    pose = _generate(network, prosody_features(prosody), index, noise)[:frames]
    pose *= np.repeat(config.pose_unit, 3)
    pose = soft_limit(pose, np.array([*ROTATION_LIMIT_RAD, *TRANSLATION_LIMIT]))
    if mirrored:
        pose = pose * _MIRROR
    return pose[:, :3].astype(np.float32), pose[:, 3:].astype(np.float32)


def _generate(network: PoseCvae, features: Float32Array, style: int, noise: Float32Array) -> Float64Array:
    """Generate poses (T, 6) in units of the network, chunk after chunk; row 0 is zero."""
    import torch

    config = network.config
    overlap, hop = config.overlap, config.hop
    total = len(noise) * hop
    track = np.zeros((overlap + total, POSE_SIZE))
    inputs = np.zeros((overlap + total + config.lookahead, features.shape[1]), np.float32)
    inputs[overlap - 1 : overlap - 1 + len(features)] = features[: len(inputs) - overlap + 1]
    fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap) + 1.0) / (overlap + 1.0))[:, None]
    parameter = next(network.parameters())
    style_row = torch.tensor([style], device=parameter.device)
    with torch.inference_mode():
        for number, drawn in enumerate(noise):
            first = number * hop
            before = torch.from_numpy(track[None, first : first + overlap]).to(parameter)
            prosody = torch.from_numpy(inputs[None, first : first + config.prosody_frames]).to(parameter)
            condition = network.encode_condition(before, prosody, style_row)
            chunk = network.sample(torch.from_numpy(drawn[None]).to(parameter), before, condition)[0]
            fresh = chunk.double().cpu().numpy()
            shared = track[first : first + overlap]
            track[first : first + overlap] = (1.0 - fade) * shared + fade * fresh[:overlap]
            track[first + overlap : first + config.frames] = fresh[overlap:]
            if number == 0:
                track[:overlap] = 0.0
    pose = track[overlap - 1 :]
    eased: Float64Array = pose * smoothstep(np.arange(len(pose)) / EASE_IN_FRAMES)[:, None]
    return eased


def soft_limit(values: Float64Array, limits: Float64Array) -> Float64Array:
    """Compress values smoothly, so that they stay below ``limits``."""
    limited: Float64Array = limits * np.tanh(values / limits)
    return limited
