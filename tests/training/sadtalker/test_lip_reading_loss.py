"""Cropping and warping of mouth images, and the lip-reading loss."""

from __future__ import annotations

import math

import pytest
import torch

from sadtalker_ext.models.lip_reader import LipReader, LipReaderConfig
from sadtalker_ext.training.sadtalker.landmark_loss import puppet_landmarks
from sadtalker_ext.training.sadtalker.lip_reading_loss import LipReadingLoss, MouthCropper, fit_similarity

SIZE = 160


@pytest.fixture(scope="module")
def model():
    return puppet_landmarks()


def placed(model, scale=0.6, degrees=0.0, shift=(80.0, 70.0)):
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (scale * model.mean[:, :2] @ turn.T + torch.tensor(shift))[None]


def test_scale_and_rotation_are_recovered(model):
    found = fit_similarity(placed(model, 0.6, 20.0), model.mean[:, :2])[0]
    assert float(torch.linalg.det(found)) == pytest.approx(0.36, rel=1e-4)
    assert math.degrees(math.atan2(found[1, 0], found[0, 0])) == pytest.approx(20.0, abs=1e-3)


def test_crops_do_not_depend_on_scale_and_rotation_of_the_face(model):
    def ramp(points):
        """A grey ramp along the line between the eyes: the same image content at another scale and rotation."""
        axis = points[0, 45] - points[0, 36]
        x, y = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="xy")
        along = ((x - points[0, 36, 0]) * axis[0] + (y - points[0, 36, 1]) * axis[1]) / axis.square().sum()
        return along.clamp(0, 1)[None, None].expand(1, 3, -1, -1)

    mouths = MouthCropper(model)
    here, there = placed(model, 0.6), placed(model, 0.5, 15.0)
    first, second = mouths(ramp(here), here), mouths(ramp(there), there)
    assert first.shape == (1, 88, 88)
    assert (first - second).abs().max() < 0.02
    slope = (first[0, 44, 80] - first[0, 44, 8]) / 72
    assert float(slope) == pytest.approx(1 / 74.16, rel=0.02), "eye corners are 74 pixels apart"


def test_the_image_moves_with_the_landmarks(model):
    torch.manual_seed(0)
    points, mouths = placed(model), MouthCropper(model)
    picture = torch.nn.functional.interpolate(torch.rand(1, 3, 20, 20), SIZE, mode="bilinear")
    still = mouths(picture, points)
    torch.testing.assert_close(mouths(picture, points, torch.zeros(1, 68, 2)), still)
    step = 4
    down = torch.zeros(1, 68, 2)
    down[..., 1] = step * mouths.unit
    moved = mouths(picture, points, down)
    middle = slice(40, 52)
    apart = (moved[0, middle, middle] - still[0, 40 - step : 52 - step, middle]).abs().max()
    assert float(apart) < 0.03, "the middle of the mouth moves down by four pixels"
    assert float((moved - still)[0, 0].abs().max()) < 1e-3, "far from the mouth nothing moves"


def test_the_loss_is_zero_for_equal_mouths_and_its_gradient_points_there(model):
    torch.manual_seed(1)
    loss = LipReadingLoss(LipReader(LipReaderConfig((8, 8, 8, 8), "relu")), model)
    pictures = torch.nn.functional.interpolate(torch.rand(3, 3, 24, 24), SIZE, mode="bilinear")[None]
    landmarks = placed(model).expand(3, -1, -1)[None]
    shown = torch.zeros(1, 3, 64)
    assert float(loss(shown, shown, pictures, landmarks)) == pytest.approx(0, abs=1e-6)
    predicted = shown.clone()
    predicted[..., 0] = 0.2
    predicted.requires_grad_()
    value = loss(predicted, shown, pictures, landmarks)
    assert value.item() > 1e-5
    value.backward()
    downhill = predicted - 1e-2 * predicted.grad / predicted.grad.norm()
    assert loss(downhill, shown, pictures, landmarks).item() < value.item()
    assert predicted.grad[..., 10].abs().max() == 0, "eyelids do not affect the mouth"
    assert all(parameter.grad is None for parameter in loss.reader.parameters())
