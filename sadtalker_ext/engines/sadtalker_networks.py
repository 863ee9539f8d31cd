"""How the official networks are called: chunks, draws and batches over a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.models.exp_net import ExpNet
    from sadtalker_ext.models.pose_vae import PoseVAE

EXPRESSION_CHUNK = 10
"""Frames of ExpNet per call: on a CPU ten stay in the cache; the size never changes the result."""


def predict_expression(network: ExpNet, mel: Tensor, reference: Tensor, blink: Tensor) -> Tensor:
    """Expression (1, T, 64) from mel windows (1, T, 1, 80, 16), reference (1, T, 64) and lid closing (1, T, 1)."""
    parts = (part.split(EXPRESSION_CHUNK, dim=1) for part in (mel, reference, blink))  # type: ignore[no-untyped-call]
    return torch.cat([network(*chunk) for chunk in zip(*parts, strict=True)], dim=1)


def predict_pose(network: PoseVAE, mel: Tensor, reference: Tensor, style: int, draw: Callable[[], Tensor]) -> Tensor:
    """Poses (1, T, 6), not smoothed; frame 0 is the reference itself.

    mel: (1, T, 1, 80, 16). reference: (1, 6). style: 0 to 45. draw: gives a latent (1, 64) per chunk.
    Chunks of 32 frames are independent. A remainder decodes the last 32 windows and keeps its own frames; where
    there are fewer windows than that, copies of the first audio feature stand in front.
    """
    chunk = network.config.frames
    audio = network.audio_encoder(mel[:, 1:]) if mel.shape[1] > 1 else None
    styles = torch.tensor([style], device=mel.device)
    motions = [torch.zeros_like(reference).unsqueeze(1)]
    for features, keep in _chunks(audio, chunk):
        motion = network.decode(features, reference, styles, draw().to(reference))
        motions.append(motion[:, chunk - keep :])
    return reference.unsqueeze(1) + torch.cat(motions, dim=1)


def _chunks(audio: Tensor | None, size: int) -> Iterator[tuple[Tensor, int]]:
    """Audio features (1, N, 512) as chunks of ``size`` frames and how many frames at the end of each count."""
    if audio is None:
        return
    whole, remainder = divmod(audio.shape[1], size)
    for index in range(whole):
        yield audio[:, index * size : (index + 1) * size], size
    if remainder:
        last = audio[:, -size:]
        padding = last[:, :1].expand(-1, size - last.shape[1], -1)
        yield torch.cat((padding, last), dim=1), remainder


def source_tensor(picture: NDArray[np.uint8], size_px: int) -> Tensor:
    """RGB picture (H, W, 3) -> (1, 3, S, S) float32 in [0, 1], smoothed before it is made smaller."""
    scaled = picture.astype(np.float32) / np.float32(255)
    if scaled.shape[:2] != (size_px, size_px):
        from skimage.transform import resize

        scaled = resize(scaled, (size_px, size_px, 3)).astype(np.float32)
    return torch.from_numpy(scaled).permute(2, 0, 1).unsqueeze(0)


def to_pixels(frames: Tensor) -> NDArray[np.uint8]:
    """Frames (..., 3, H, W) in [0, 1] -> RGB uint8 (..., H, W, 3), rounded half to even."""
    levels = (frames.float() * 255).round().clamp(0, 255).to(torch.uint8)
    return levels.movedim(-3, -1).cpu().numpy()
