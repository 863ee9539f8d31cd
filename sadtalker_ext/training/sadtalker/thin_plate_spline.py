"""Smooth random warps of pictures and points: an affine map plus a thin-plate spline (Siarohin et al. 2019, 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

AFFINE_SPREAD: Final = 0.05
BEND_SPREAD: Final = 0.005
CONTROLS: Final = 5
"""Control points along a side."""


class ThinPlate(NamedTuple):
    """affine: (B, 2, 3); bend: (B, 2, 25), how strongly each control point pulls x and y. Coordinates in [-1, 1]."""

    affine: Tensor
    bend: Tensor

    def points(self, points: Tensor) -> Tensor:
        """Where points (B, N, 2) of the warped picture lie in the picture it was made from."""
        line = torch.linspace(-1, 1, CONTROLS, device=points.device, dtype=points.dtype)
        y, x = torch.meshgrid(line, line, indexing="ij")
        controls = torch.stack((x.flatten(), y.flatten()), dim=1)
        squared = (points.unsqueeze(2) - controls).square().sum(dim=3)
        pull = squared * (squared + 1e-6).log()
        moved = points @ self.affine[:, :, :2].transpose(1, 2) + self.affine[:, :, 2].unsqueeze(1)
        return moved + pull @ self.bend.transpose(1, 2)

    def picture(self, picture: Tensor) -> Tensor:
        """The warped picture (B, 3, H, W); beyond the border the picture is mirrored."""
        batch, _, height, width = picture.shape
        rows, columns = (
            (2 * torch.arange(length, device=picture.device, dtype=picture.dtype) + 1) / length - 1
            for length in (height, width)
        )
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        grid = torch.stack((x.flatten(), y.flatten()), dim=1).expand(batch, -1, -1)
        seen = self.points(grid).reshape(batch, height, width, 2)
        return functional.grid_sample(picture, seen, padding_mode="reflection", align_corners=False)


def draw_warps(random: np.random.Generator, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Parameters of ``count`` random warps: affine (count, 2, 3) and bend (count, 2, 25)."""
    affine = AFFINE_SPREAD * random.standard_normal((count, 2, 3)) + np.eye(2, 3)
    bend = BEND_SPREAD * random.standard_normal((count, 2, CONTROLS**2))
    return affine.astype(np.float32), bend.astype(np.float32)
