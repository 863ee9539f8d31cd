"""Networks of the renderer at sizes other than the official one: folding, alignment and group norms."""

from __future__ import annotations

import copy

import pytest
import torch

from sadtalker_ext.models.dense_motion import DenseMotionConfig
from sadtalker_ext.models.folding import fold
from sadtalker_ext.models.generator import EncodedSource, Generator, GeneratorConfig
from sadtalker_ext.models.head_estimator import HeadEstimator, HeadEstimatorConfig
from sadtalker_ext.models.spade import SpadeConfig


def generator(halvings, aligned):
    torch.manual_seed(3)
    motion = DenseMotionConfig(5, 4, 2, 4, 8, levels=2, depth=4, kernel=3, aligned=aligned)
    decoder = SpadeConfig(middle_blocks=halvings - 1, modulation_channels=8)
    return Generator(GeneratorConfig(8, 16, halvings, 4, resblocks=1, motion=motion, decoder=decoder)).eval()


@pytest.mark.parametrize(("halvings", "aligned"), [(1, True), (2, False), (3, True)])
def test_frames_have_the_size_of_the_portrait_and_stay_when_folded(halvings, aligned):
    """In float64: in float32 the kernels of the processor decide on which side of the cut some mask values lie."""
    network = generator(halvings, aligned).double()
    portrait, source, driving = (torch.rand(*shape).double() for shape in ((1, 3, 64, 64), (1, 5, 3), (2, 5, 3)))
    source, driving = source - 0.5, driving - 0.5
    with torch.no_grad():
        frames = network.render(network.encode_source(portrait), source, driving)
        lean = fold(copy.deepcopy(network))
        assert frames.shape == (2, 3, 64, 64)
        assert torch.allclose(lean.render(lean.encode_source(portrait), source, driving), frames, atol=1e-9)


def test_aligned_features_stay_where_nothing_moves():
    """With the same keypoints for source and frame the field is the grid, so warping changes nothing."""
    network = generator(2, aligned=True)
    features = torch.rand(1, 4, 4, 16, 16)
    points = torch.rand(1, 5, 3) - 0.5
    with torch.no_grad():
        field = network.dense_motion_network(torch.rand(1, 2, 4, 16, 16), points, points)
        seen = []
        network.third.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        network.warp_and_decode(EncodedSource(features, features), field)
    assert torch.allclose(seen[0].unflatten(1, (4, 4)), features, atol=2e-2)


def test_a_narrow_head_estimator_has_the_same_parts():
    narrow = HeadEstimator(HeadEstimatorConfig(4, (8, 16, 16, 32), (1, 1, 1, 1), keypoints=5)).eval()
    head = narrow(torch.rand(2, 3, 64, 64))
    assert head.deformation.shape == (2, 5, 3)
    assert head.yaw.shape == (2, 66)
    assert {key.split(".")[0] for key in narrow.state_dict()} >= {"block1", "block7", "fc_yaw", "norm5"}


def test_group_norms_are_the_same_in_training_and_inference():
    torch.manual_seed(1)
    widths = (8, 16, 16, 32)
    grouped = HeadEstimator(HeadEstimatorConfig(8, widths, (1, 1, 1, 1), keypoints=5, norm_groups=2))
    picture = torch.rand(2, 3, 64, 64)
    learning, serving = grouped.train()(picture), grouped.eval()(picture)
    assert torch.equal(learning.deformation, serving.deformation)
    one = grouped(picture[:1])
    assert torch.allclose(one.deformation, serving.deformation[:1], atol=1e-6)
    assert not any("running" in key for key in grouped.state_dict())
