"""Coordinate grids in [-1, 1] for keypoints and warps."""

from __future__ import annotations

import torch
from torch import Tensor


def axis_positions(length: int, like: Tensor) -> Tensor:
    """(length,) positions along an axis, first -1 and last 1, on the device and in the dtype of ``like``."""
    return 2 * (torch.arange(length, device=like.device, dtype=like.dtype) / (length - 1)) - 1


def coordinate_grid(size: tuple[int, int, int], like: Tensor) -> Tensor:
    """(D, H, W, 3) grid of (x, y, z); the first and last cells of an axis are exactly -1 and 1.

    ``like`` gives device and dtype.
    """
    axes = [axis_positions(length, like) for length in size]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((x, y, z), dim=-1)


def gaussian_heatmap(points: Tensor, grid: Tensor, variance: float) -> Tensor:
    """Unnormalised Gaussians around ``points`` (B, K, 3) on a grid (D, H, W, 3): (B, K, D, H, W), 1 at the point."""
    distance = grid - points[:, :, None, None, None, :]
    return torch.exp(-0.5 * (distance**2).sum(dim=-1) / variance)
