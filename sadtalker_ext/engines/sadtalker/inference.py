"""Calls of the official networks over a sequence, in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from sadtalker_ext.models.keypoints import HeadAngles

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, UInt8Array
    from sadtalker_ext.models.exp_net import ExpNet
    from sadtalker_ext.models.pose_vae import PoseVAE

EXPRESSION_CHUNK: Final = 10
"""Frames of ExpNet per call: on a CPU, ten fit into the cache. The size does not change the result."""


def predict_expression(network: ExpNet, mel: Tensor, reference: Tensor, blink: Tensor) -> Tensor:
    """Return the expression (1, T, 64) for mel windows (1, T, 1, 80, 16), reference (1, T, 64) and blinks (1, T, 1)."""
    starts = range(0, mel.shape[1], EXPRESSION_CHUNK)
    chunks = [[part[:, start : start + EXPRESSION_CHUNK] for part in (mel, reference, blink)] for start in starts]
    return torch.cat([network(*chunk) for chunk in chunks], dim=1)


def predict_pose(
    network: PoseVAE, mel: Iterable[Tensor], reference: Tensor, style: int, draw: Callable[[], Tensor]
) -> Tensor:
    """Return poses (1, T, 6) before smoothing; frame 0 is the reference itself.

    mel: consecutive windows (1, n, 1, 80, 16) of all T frames, read once. reference: (1, 6). style: 0 to 45.
    draw: returns a latent (1, 64) for each chunk. Chunks of 32 frames are independent. A shorter last chunk is decoded
    from the last 32 windows; if there are fewer, the first audio feature is repeated in front.
    """
    size = network.config.frames
    styles = torch.tensor([style], device=reference.device)
    motions = [torch.zeros_like(reference).unsqueeze(1)]
    for features, keep in _pose_chunks(_skip_first_frame(mel), network.audio_encoder, size):
        motion = network.decode(features, reference, styles, draw().to(reference))
        motions.append(motion[:, size - keep :])
    return reference.unsqueeze(1) + torch.cat(motions, dim=1)


def _skip_first_frame(mel: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the windows without that of frame 0, which is the reference."""
    for index, windows in enumerate(mel):
        rest = windows[:, 1:] if index == 0 else windows
        if rest.shape[1]:
            yield rest


def _pose_chunks(
    mel: Iterable[Tensor], encoder: Callable[[Tensor], Tensor], size: int
) -> Iterator[tuple[Tensor, int]]:
    """Yield the audio features (1, size, 512) of each chunk, and the number of new frames at its end."""
    features_kept, new_frames = None, 0
    for windows in mel:
        features = encoder(windows)
        features_kept = features if features_kept is None else torch.cat((features_kept, features), dim=1)
        new_frames += features.shape[1]
        while new_frames >= size:
            end = features_kept.shape[1] - new_frames + size
            yield features_kept[:, end - size : end], size
            new_frames -= size
        features_kept = features_kept[:, -(new_frames + size) :]
    if features_kept is not None and new_frames:
        last = features_kept[:, -size:]
        padding = last[:, :1].expand(-1, size - last.shape[1], -1)
        yield torch.cat((padding, last), dim=1), new_frames


def source_tensor(picture: UInt8Array, size_px: int) -> Tensor:
    """Convert an RGB picture (H, W, 3) to (1, 3, S, S) float32 in [0, 1]; smoothed before it is scaled down."""
    scaled = picture.astype(np.float32) / np.float32(255)
    if scaled.shape[:2] != (size_px, size_px):
        from skimage.transform import resize

        scaled = resize(scaled, (size_px, size_px, 3)).astype(np.float32)
    return torch.from_numpy(scaled).permute(2, 0, 1).unsqueeze(0)


def to_pixels(frames: Tensor) -> UInt8Array:
    """Convert frames (..., 3, H, W) in [0, 1] to RGB uint8 (..., H, W, 3), rounded half to even."""
    levels = frames.float().mul(255).round_().clamp_(0, 255).to(torch.uint8).movedim(-3, -1).contiguous()
    if levels.device.type == "cuda":
        pinned = torch.empty(levels.shape, dtype=levels.dtype, pin_memory=True)  # copied without a detour
        levels = pinned.copy_(levels)
    return levels.cpu().numpy()


def view_angles(view_deg: Float32Array | None, device: torch.device) -> HeadAngles:
    """Convert pitch, yaw and roll (B, 3) in degrees for the renderer; a column of NaN keeps the predicted angle."""
    if view_deg is None:
        return HeadAngles()
    pitch, yaw, roll = (
        None if np.isnan(column).any() else torch.from_numpy(np.ascontiguousarray(column)).to(device)
        for column in view_deg.T
    )
    return HeadAngles(yaw, pitch, roll)
