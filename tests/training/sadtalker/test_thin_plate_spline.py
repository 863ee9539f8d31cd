"""Thin-plate spline warps: images and points are warped consistently."""

from __future__ import annotations

import numpy as np
import torch

from sadtalker_ext.training.sadtalker.thin_plate_spline import CONTROLS, ThinPlate, sample_warps


def warps(seed, count=3):
    affine, bend = sample_warps(np.random.default_rng(seed), count)
    return ThinPlate(torch.from_numpy(affine), torch.from_numpy(bend))


def test_the_identity_warp_changes_nothing():
    still = ThinPlate(torch.eye(2, 3).expand(2, -1, -1), torch.zeros(2, 2, CONTROLS**2))
    picture, points = torch.rand(2, 3, 8, 12), torch.rand(2, 5, 2)
    assert torch.allclose(still.image(picture), picture, atol=1e-5)
    assert torch.allclose(still.points(points), points)


def test_an_affine_map_by_hand():
    turn = ThinPlate(torch.tensor([[[0.0, -1.0, 0.5], [1.0, 0.0, 0.0]]]), torch.zeros(1, 2, CONTROLS**2))
    assert torch.allclose(turn.points(torch.tensor([[[0.2, 0.3]]])), torch.tensor([[[0.2, 0.2]]]))


def test_a_control_point_displaces_by_the_thin_plate_kernel():
    bend = torch.zeros(1, 2, CONTROLS**2)
    bend[0, 0, CONTROLS**2 // 2] = 0.1  # the control in the middle
    plate = ThinPlate(torch.eye(2, 3).unsqueeze(0), bend)
    moved = plate.points(torch.tensor([[[0.3, 0.4]]]))
    wanted = torch.tensor([[[0.3 + 0.1 * 0.25 * float(np.log(0.25)), 0.4]]])
    assert torch.allclose(moved, wanted, atol=1e-5)


def test_images_and_points_are_warped_consistently():
    """The warped image at p shows the original at points(p), tested with a dot."""
    plate, size = warps(3, 1), 128
    grid = (2 * torch.arange(size) + 1) / size - 1
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    dot = torch.exp(-((x - 0.2) ** 2 + (y + 0.3) ** 2) / 0.003).expand(1, 3, -1, -1).contiguous()
    seen = plate.image(dot)[0, 0]
    weight = seen / seen.sum()
    found = torch.stack(((weight * x).sum(), (weight * y).sum())).view(1, 1, 2)
    assert torch.allclose(plate.points(found), torch.tensor([[[0.2, -0.3]]]), atol=0.01)


def test_samples_depend_on_the_generator_only():
    assert torch.equal(warps(5).affine, warps(5).affine)
    assert not torch.equal(warps(5).bend, warps(6).bend)
    many = warps(7, 4000)
    assert torch.allclose((many.affine - torch.eye(2, 3)).std(), torch.tensor(0.05), rtol=0.05)
    assert torch.allclose(many.bend.std(), torch.tensor(0.005), rtol=0.05)
