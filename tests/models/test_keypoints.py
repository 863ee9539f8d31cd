"""Keypoints from head parameters and from heatmaps."""

import math

import torch

from sadtalker_ext.models.grids import coordinate_grid, gaussian_heatmap
from sadtalker_ext.models.keypoint_detector import expected_position
from sadtalker_ext.models.keypoints import (
    OFFICIAL_PI,
    HeadAngles,
    bins_to_degrees,
    rotation_matrix,
    transform_keypoints,
    vertical_translation,
)
from sadtalker_ext.models.mapping_net import HeadParameters


def head(degrees=0.0):
    logits = torch.full((1, 66), -1e9)
    logits[0, round((degrees + 99) / 3)] = 0.0
    return HeadParameters(logits, logits, logits, torch.tensor([[1.0, 0.5, 1.0]]), torch.zeros(1, 4, 3))


def test_bins_are_three_degrees_wide_and_start_at_minus_99():
    assert bins_to_degrees(head(30.0).yaw).item() == 30.0


def test_rotation_is_a_rotation_with_the_official_pi():
    matrix = rotation_matrix(*(torch.tensor([angle]) for angle in (20.0, -35.0, 50.0)))
    assert torch.allclose(matrix @ matrix.transpose(1, 2), torch.eye(3)[None], atol=1e-6)
    quarter = rotation_matrix(torch.tensor([90.0]), torch.zeros(1), torch.zeros(1))
    assert math.isclose(quarter[0, 0, 2], math.sin(OFFICIAL_PI / 2), abs_tol=1e-6)
    assert quarter[0, 0, 0] > 5e-4


def test_only_vertical_translation_is_kept():
    assert vertical_translation(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[0.0, 2.0, 0.0]]


def test_given_angles_replace_predicted_ones():
    points = torch.rand(1, 4, 3)
    turned = transform_keypoints(points, head(30.0), HeadAngles(*(torch.zeros(1) for _ in range(3))))
    assert torch.allclose(turned, points + torch.tensor([0.0, 0.5, 0.0]), atol=1e-6)


def test_expected_position_finds_the_peak():
    grid = coordinate_grid((5, 9, 17), torch.zeros(1))
    peak = grid[3, 2, 11]
    heat = gaussian_heatmap(peak[None, None], grid, 1e-4)
    found = expected_position(heat / heat.sum())
    assert torch.allclose(found[0, 0], peak, atol=1e-5)
