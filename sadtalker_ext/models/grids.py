"""Coordinate grids in [-1, 1] for keypoints and warps."""

from __future__ import annotations

import torch
from torch import Tensor


def axis_positions(length: int, like: Tensor) -> Tensor:
    """Return ``length`` positions from -1 to 1, (length,), with the device and dtype of ``like``."""
    return 2 * (torch.arange(length, device=like.device, dtype=like.dtype) / (length - 1)) - 1


def coordinate_grid(size: tuple[int, int, int], like: Tensor) -> Tensor:
    """Return a grid (D, H, W, 3) of (x, y, z) with the device and dtype of ``like``.

    The centres of the first and last cells of an axis are at -1 and 1.
    """
    axes = [axis_positions(length, like) for length in size]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((x, y, z), dim=-1)


def gaussian_heatmap(points: Tensor, grid: Tensor, variance: float) -> Tensor:
    """Return Gaussian heatmaps (B, K, D, H, W) with value 1 at ``points`` (B, K, 3), on a grid (D, H, W, 3)."""
    distance = grid - points[:, :, None, None, None, :]
    return torch.exp(-0.5 * (distance**2).sum(dim=-1) / variance)
