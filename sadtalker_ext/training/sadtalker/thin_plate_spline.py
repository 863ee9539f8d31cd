"""Random smooth warps of images and points: an affine map plus a thin-plate spline (Siarohin et al. 2019, 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array

AFFINE_STD: Final = 0.05
"""Standard deviation of each entry of the affine map around the identity."""
BEND_STD: Final = 0.005
"""Standard deviation of the spline weight of each control point."""
CONTROLS: Final = 5
"""Control points along a side."""


class ThinPlate(NamedTuple):
    """Parameters of B warps in coordinates from -1 to 1.

    affine: (B, 2, 3). bend: (B, 2, 25), weight of each control point for x and y; the kernel is r^2 log r^2.
    """

    affine: Tensor
    bend: Tensor

    def points(self, points: Tensor) -> Tensor:
        """Map points (B, N, 2) of the warped image to points of the original image."""
        from kornia.geometry.transform import warp_points_tps

        line = torch.linspace(-1, 1, CONTROLS, device=points.device, dtype=points.dtype)
        y, x = torch.meshgrid(line, line, indexing="ij")
        controls = torch.stack((x.flatten(), y.flatten()), dim=1).expand(len(points), -1, -1)
        translation_first = torch.cat((self.affine[:, :, 2:], self.affine[:, :, :2]), dim=2)
        # kornia's kernel is 0.5 r^2 log r^2, hence the factor of 2.
        warped: Tensor = warp_points_tps(
            points, controls, 2 * self.bend.transpose(1, 2), translation_first.transpose(1, 2)
        )
        return warped

    def image(self, image: Tensor) -> Tensor:
        """Return the warped image (B, 3, H, W); outside the image, its mirror image continues.

        kornia's ``warp_image_tps`` pads with zeros and places -1 and 1 at pixel centres, so only the points come from
        kornia.
        """
        batch, _, height, width = image.shape
        rows, columns = (
            (2 * torch.arange(length, device=image.device, dtype=image.dtype) + 1) / length - 1
            for length in (height, width)
        )
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        grid = torch.stack((x.flatten(), y.flatten()), dim=1).expand(batch, -1, -1)
        sampled = self.points(grid).reshape(batch, height, width, 2)
        return functional.grid_sample(image, sampled, padding_mode="reflection", align_corners=False)


def sample_warps(random: np.random.Generator, count: int) -> tuple[Float32Array, Float32Array]:
    """Return the parameters of ``count`` random warps: affine (count, 2, 3) and bend (count, 2, 25)."""
    affine = AFFINE_STD * random.standard_normal((count, 2, 3)) + np.eye(2, 3)
    bend = BEND_STD * random.standard_normal((count, 2, CONTROLS**2))
    return affine.astype(np.float32), bend.astype(np.float32)
