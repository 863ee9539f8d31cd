"""Head motion of the starter engine: prosody, a style and a seed become rotation and translation.

The network writes 32 frames at a time; a piece begins with the last eight frames of the one before, which it hears
and repeats, and fades in over them, so the joins are as smooth as the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.audio.prosody import Prosody, prosody_features
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.models.pose_cvae import POSE_SIZE, PoseCvae

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

POSE_STYLES = (
    "natural", "calm", "lively", "nodding", "swaying", "attentive", "thoughtful", "newsreader", "storyteller", "shy",
    "confident", "cheerful",
)  # fmt: skip
"""What the shipped network was trained for, in its order."""
ROTATION_LIMIT_RAD = (0.17, 0.17, 0.15)
"""Pitch, yaw and roll bend towards this many radians (just under 10 degrees) and never reach them."""
TRANSLATION_LIMIT = (0.08, 0.05, 0.09)
"""The same for x, y, z in face heights."""
EASE_IN_FRAMES = 12
"""The head leaves the pose of the source picture over this many frames."""
MIRROR_CHANCE = 0.5
"""A style that leans to one side leans to the other in as many clips."""
_MIRROR = np.array([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])


def style_index(style: str | int, styles: tuple[str, ...]) -> int:
    """Index of a style given by its name or its number (also as text)."""
    if isinstance(style, str) and style in styles:
        return styles.index(style)
    try:
        number = int(style)
    except ValueError:
        number = -1
    if not 0 <= number < len(styles):
        raise SettingsError(
            f"pose style {style!r} does not exist; choose one of {', '.join(styles)}, or a number from 0 to "
            f"{len(styles) - 1}"
        )
    return number


def head_motion(
    network: PoseCvae, prosody: Prosody, style: str | int, rng: Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rotation (T, 3) in radians and translation (T, 3) in face heights, T = ``len(prosody)``.

    style: name or number of one of ``network.config.styles``.
    Both are relative to the source picture and zero in the first frame. The same generator state gives the same
    motion; all of the chance in it is drawn from ``rng``.
    """
    config = network.config
    index = style_index(style, config.styles)
    frames = len(prosody)
    pieces = -(-frames // config.hop)
    noise = rng.standard_normal((pieces, config.latent)).astype(np.float32)
    mirrored = rng.random() < MIRROR_CHANCE
    pose = _roll_out(network, prosody_features(prosody), index, noise)[:frames]
    pose *= np.repeat(config.pose_unit, 3)
    pose = _bend(pose, np.array([*ROTATION_LIMIT_RAD, *TRANSLATION_LIMIT]))
    if mirrored:
        pose = pose * _MIRROR
    return pose[:, :3].astype(np.float32), pose[:, 3:].astype(np.float32)


def _roll_out(
    network: PoseCvae, features: NDArray[np.float32], style: int, noise: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Poses (T, 6) in units of the network, piece after piece; row 0 is zero."""
    import torch

    config = network.config
    overlap, hop = config.overlap, config.hop
    total = len(noise) * hop
    track = np.zeros((overlap + total, POSE_SIZE))
    heard = np.zeros((overlap + total + config.lookahead, features.shape[1]), np.float32)
    heard[overlap - 1 : overlap - 1 + len(features)] = features[: len(heard) - overlap + 1]
    fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap) + 1.0) / (overlap + 1.0))[:, None]
    parameter = next(network.parameters())
    style_row = torch.tensor([style], device=parameter.device)
    with torch.inference_mode():
        for number, drawn in enumerate(noise):
            first = number * hop
            before = torch.from_numpy(track[None, first : first + overlap]).to(parameter)
            prosody = torch.from_numpy(heard[None, first : first + config.prosody_frames]).to(parameter)
            condition = network.encode_condition(before, prosody, style_row)
            piece = network.sample(torch.from_numpy(drawn[None]).to(parameter), before, condition)[0]
            fresh = piece.double().cpu().numpy()
            shared = track[first : first + overlap]
            track[first : first + overlap] = (1.0 - fade) * shared + fade * fresh[:overlap]
            track[first + overlap : first + config.frames] = fresh[overlap:]
            if number == 0:
                track[:overlap] = 0.0
    pose = track[overlap - 1 :]
    ramp = np.clip(np.arange(len(pose)) / EASE_IN_FRAMES, 0.0, 1.0)[:, None]
    eased: NDArray[np.float64] = pose * ramp * ramp * (3.0 - 2.0 * ramp)
    return eased


def _bend(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    bent: NDArray[np.float64] = limits * np.tanh(values / limits)
    return bent
