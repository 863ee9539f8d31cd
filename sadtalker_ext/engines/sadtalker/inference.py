"""How the official networks are called: chunks, draws and batches over a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
    starts = range(0, mel.shape[1], EXPRESSION_CHUNK)
    chunks = [[part[:, start : start + EXPRESSION_CHUNK] for part in (mel, reference, blink)] for start in starts]
    return torch.cat([network(*chunk) for chunk in chunks], dim=1)


def predict_pose(
    network: PoseVAE, mel: Iterable[Tensor], reference: Tensor, style: int, draw: Callable[[], Tensor]
) -> Tensor:
    """Poses (1, T, 6), not smoothed; frame 0 is the reference itself.

    mel: consecutive windows (1, n, 1, 80, 16) of all T frames; none are kept. reference: (1, 6). style: 0 to 45.
    draw: gives a latent (1, 64) per chunk. Chunks of 32 frames are independent. A remainder decodes the last 32
    windows and keeps its own frames; where there are fewer, copies of the first audio feature stand in front.
    """
    size = network.config.frames
    styles = torch.tensor([style], device=reference.device)
    motions = [torch.zeros_like(reference).unsqueeze(1)]
    for features, keep in _pose_chunks(_after_first(mel), network.audio_encoder, size):
        motion = network.decode(features, reference, styles, draw().to(reference))
        motions.append(motion[:, size - keep :])
    return reference.unsqueeze(1) + torch.cat(motions, dim=1)


def _after_first(mel: Iterable[Tensor]) -> Iterator[Tensor]:
    """Windows without those of frame 0, which is the reference."""
    for index, windows in enumerate(mel):
        rest = windows[:, 1:] if index == 0 else windows
        if rest.shape[1]:
            yield rest


def _pose_chunks(
    mel: Iterable[Tensor], encoder: Callable[[Tensor], Tensor], size: int
) -> Iterator[tuple[Tensor, int]]:
    """Audio features (1, size, 512) of each chunk and how many frames at its end count."""
    held, fresh = None, 0
    for windows in mel:
        features = encoder(windows)
        held = features if held is None else torch.cat((held, features), dim=1)
        fresh += features.shape[1]
        while fresh >= size:
            end = held.shape[1] - fresh + size
            yield held[:, end - size : end], size
            fresh -= size
        held = held[:, -(fresh + size) :]
    if held is not None and fresh:
        last = held[:, -size:]
        padding = last[:, :1].expand(-1, size - last.shape[1], -1)
        yield torch.cat((padding, last), dim=1), fresh


def source_tensor(picture: NDArray[np.uint8], size_px: int) -> Tensor:
    """RGB picture (H, W, 3) -> (1, 3, S, S) float32 in [0, 1], smoothed before it is made smaller."""
    scaled = picture.astype(np.float32) / np.float32(255)
    if scaled.shape[:2] != (size_px, size_px):
        from skimage.transform import resize

        scaled = resize(scaled, (size_px, size_px, 3)).astype(np.float32)
    return torch.from_numpy(scaled).permute(2, 0, 1).unsqueeze(0)


def to_pixels(frames: Tensor) -> NDArray[np.uint8]:
    """Frames (..., 3, H, W) in [0, 1] -> RGB uint8 (..., H, W, 3), rounded half to even."""
    levels = frames.float().mul(255).round_().clamp_(0, 255).to(torch.uint8)
    return levels.movedim(-3, -1).contiguous().cpu().numpy()
