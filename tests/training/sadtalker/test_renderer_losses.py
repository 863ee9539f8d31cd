"""Losses of the renderer against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sadtalker_ext.models.discriminator import DiscriminatorOutput
from sadtalker_ext.models.keypoints import HeadAngles
from sadtalker_ext.training.sadtalker import renderer_losses as losses
from sadtalker_ext.training.sadtalker.perceptual_loss import FeaturePyramid, random_pyramid


def output(scores, *features):
    return DiscriminatorOutput(tuple(torch.tensor(f) for f in features), torch.tensor(scores))


def test_hinge_and_adversarial_loss():
    real, ours = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])
    # real: mean(0, 0.5); ours: mean(0, 1.5)
    assert float(losses.hinge([real], [ours])) == pytest.approx(0.25 + 0.75)
    assert float(losses.adversarial([output([1.0, 3.0]), output([-1.0])])) == pytest.approx(-2.0 + 1.0)


def test_features_are_compared_block_by_block():
    ours = [output([0.0], [1.0, 2.0], [4.0]), output([0.0], [0.0])]
    real = [output([0.0], [0.0, 0.0], [1.0]), output([0.0], [-2.0])]
    assert float(losses.feature_matching(ours, real)) == pytest.approx(1.5 + 3.0 + 2.0)


def test_the_keypoint_prior_by_hand():
    points = torch.tensor([[[0.0, 0.0, 0.1], [0.2, 0.0, 0.1], [0.9, 0.0, 0.4]]])
    # One pair is closer than sqrt(0.1): 0.1 - 0.04, counted both ways. Mean depth is 0.2.
    assert float(losses.spread(points)) == pytest.approx(2 * 0.06)
    assert float(losses.depth(points)) == pytest.approx(0.13)


def test_head_pose_is_in_radians():
    found = HeadAngles(torch.tensor([90.0, 0.0]), torch.tensor([0.0, 180.0]), torch.tensor([45.0, 45.0]))
    known = torch.tensor([[0.0, 0.0, math.pi / 4], [0.0, math.pi, math.pi / 4]])
    assert float(losses.head_pose(found, known)) == pytest.approx(math.pi / 4)


def test_deformation_guide_and_perceptual_loss_by_hand():
    assert float(losses.deformation_prior(torch.tensor([[[0.5, -0.5, 0.0]]]))) == pytest.approx(1 / 3)
    points, landmarks = torch.tensor([[[0.5, -0.5, 9.0]]]), torch.full((1, 68, 2), 7.0)
    landmarks[0, losses.GUIDE_LANDMARKS[0]] = torch.tensor([0.0, -1.0])
    assert float(losses.guide(points, landmarks)) == pytest.approx(0.5)
    assert float(losses.perceptual([torch.ones(2, 3), torch.zeros(1)], [torch.zeros(2, 3), torch.full((1,), 4.0)])) == 5


def test_mouth_weight_and_mean_inside_boxes():
    landmarks = torch.zeros(1, 68, 2)
    points = torch.zeros(1, 6, 3)
    points[0, 0, 0], points[0, 5, 1] = 0.2, 0.4  # a point of the lips, and one of the chin
    assert float(losses.guide(points, landmarks)) == pytest.approx((0.1 + 0.2) / 6)
    assert float(losses.guide(points, landmarks, mouth=3.0)) == pytest.approx((3 * 0.1 + 0.2) / (5 * 3 + 1))
    pictures = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(2, 3, 1, 1)
    boxes = torch.tensor([[1.0, 1.0, 3.0, 2.0], [0.0, 3.0, 1.0, 4.0]])
    assert float(losses.mean_inside(pictures, boxes)) == pytest.approx((5 + 6 + 12) / 3)


def test_lip_opening_by_hand():
    """A common shift of both lips costs nothing; an opening of 0.1 instead of 0 costs half of it."""
    landmarks = torch.zeros(1, 68, 2)
    points = torch.zeros(1, 3, 3)
    points[0, :2, 0] = 0.3
    assert float(losses.lips(points, landmarks)) == 0
    points[0, 1, 1] = 0.1
    assert float(losses.lips(points, landmarks)) == pytest.approx(0.05)
    upper, lower = losses.GUIDE_LANDMARKS[:2]
    landmarks[0, lower, 1] = 0.1
    assert float(losses.lips(points, landmarks)) == pytest.approx(0)
    assert (upper, lower) == (62, 66)  # iBUG-68: middle of the inner lips


@pytest.mark.parametrize("aligned", [True, False])
def test_a_static_field_keeps_the_image(aligned):
    """With the official sampling (not aligned) the image is enlarged around its centre: see DenseMotionConfig."""
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64).contiguous()
    line = torch.linspace(-1, 1, 16)
    y, x = torch.meshgrid(line, line, indexing="ij")
    still = torch.stack((x, y, torch.zeros_like(x)), dim=-1).expand(1, 2, 16, 16, 3)
    moved = losses.warp_source(ramp, still, aligned)
    inside = moved[0, 0, 32, 4:-4]
    if aligned:
        assert torch.allclose(inside, ramp[0, 0, 32, 4:-4], atol=1e-5)
    else:
        middle = ramp[0, 0, 32, 4:-4] - 0.5
        assert torch.allclose(inside - 0.5, middle * 16 / 15, atol=5e-3)


def test_a_constant_field_shifts_the_image():
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64).contiguous()
    line = torch.linspace(-1, 1, 16)
    y, x = torch.meshgrid(line, line, indexing="ij")
    left = torch.stack((x + 0.125, y, torch.zeros_like(x)), dim=-1).expand(1, 2, 16, 16, 3)
    moved = losses.warp_source(ramp, left, aligned=True)
    # 0.125 of the cells' range of 15/16 of the picture, whose ramp rises by 64/63 per unit of it.
    assert float(moved[0, 0, 32, 20] - ramp[0, 0, 32, 20]) == pytest.approx(0.125 * 15 / 16 * 64 / 63, abs=1e-4)


@pytest.mark.parametrize("aligned", [True, False])
def test_flow_is_sampled_at_the_landmarks(aligned):
    """The field points 0.2 to the right, the landmarks moved 0.5 to the left, and one landmark is outside."""
    line = torch.linspace(-1, 1, 32) if aligned else (2 * torch.arange(32) + 1) / 32 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    field = torch.stack((x + 0.2, y, torch.zeros_like(x)), dim=-1).expand(1, 3, 32, 32, 3)
    driving = torch.tensor([[[-0.4, 0.3], [0.1, -0.2], [1.5, 0.0]]])
    source = driving + torch.tensor([0.5, 0.0])
    # |0.5 - 0.2| in x and 0 in y, two of three landmarks.
    assert float(losses.flow(field, source, driving, aligned)) == pytest.approx(0.15 * 2 / 3, abs=1e-5)


def test_pyramid_features_by_hand():
    """A network that doubles its input and pools it, at two scales."""
    double = nn.Conv2d(3, 1, 1, bias=False)
    nn.init.constant_(double.weight, 2.0)
    pyramid = FeaturePyramid(nn.Sequential(double, nn.ReLU(), nn.AvgPool2d(2), nn.Identity()), (1, 3), (1.0, 0.5))
    features = pyramid(torch.full((1, 3, 4, 4), 0.9))
    value = sum(2 * (0.9 - m) / d for m, d in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True))
    assert [tuple(feature.shape[2:]) for feature in features] == [(4, 4), (2, 2), (2, 2), (1, 1)]
    assert all(torch.allclose(feature, torch.tensor(value), rtol=1e-5) for feature in features)


def test_random_filters_are_reproducible_and_frozen():
    first, second = random_pyramid(), random_pyramid()
    picture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
    features = first(picture)
    assert all(torch.equal(a, b) for a, b in zip(features, second(picture), strict=True))
    torch.stack([feature.mean() for feature in features]).sum().backward()
    assert picture.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in first.parameters())
    assert sum(float(first.layers[0].weight.std()) for _ in range(1)) == pytest.approx((2 / 27) ** 0.5, rel=0.1)
