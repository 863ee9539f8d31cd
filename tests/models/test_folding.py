"""Folding changes how a network is written, not what it computes. Checked in float64, where rounding cannot hide."""

import copy

import pytest
import torch
from torch import nn

from sadtalker_ext.models.dense_motion import DenseMotionConfig
from sadtalker_ext.models.exp_net import ExpNet
from sadtalker_ext.models.face_recon import FaceRecon, FaceReconConfig
from sadtalker_ext.models.folding import fold, folded_weights
from sadtalker_ext.models.generator import BEFORE_MASKS, Generator, GeneratorConfig
from sadtalker_ext.models.keypoint_detector import KeypointDetector, KeypointDetectorConfig
from sadtalker_ext.models.pose_vae import PoseVAE
from sadtalker_ext.weights.random_weights import random_state

SMALL_MOTION = DenseMotionConfig(keypoints=5, feature_channels=8, base_channels=8, max_channels=32, levels=2, depth=4)
SMALL_GENERATOR = GeneratorConfig(base_channels=8, max_channels=32, depth=4, resblocks=2, motion=SMALL_MOTION)
SMALL_KEYPOINTS = KeypointDetectorConfig(keypoints=5, base_channels=8, max_channels=32, levels=3, depth=4)


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def render(network):
    source, driving = numbers(1, 5, 3) / 3, numbers(3, 5, 3) / 3
    return network.render(network.encode_source(numbers(1, 3, 64, 64).sigmoid()), source, driving)


def decode(network):
    audio = network.audio_encoder(numbers(2, 32, 1, 80, 16))
    return network.decode(audio, numbers(2, 6), torch.tensor([3, 45]), numbers(2, 64))


CASES = {
    "generator": (lambda: Generator(SMALL_GENERATOR), render),
    "kp_extractor": (lambda: KeypointDetector(SMALL_KEYPOINTS), lambda net: net(numbers(1, 3, 64, 64))),
    "audio2exp": (ExpNet, lambda net: net(numbers(1, 2, 1, 80, 16), numbers(1, 2, 64), numbers(1, 2, 1))),
    "audio2pose": (PoseVAE, decode),
    "face_3drecon": (
        lambda: FaceRecon(FaceReconConfig(blocks=(1, 2), widths=(8, 16))),
        lambda net: torch.cat(net(numbers(1, 3, 64, 64)), dim=1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_folded_network_is_the_same_function(name):
    make, call = CASES[name]
    trained = make()
    trained.load_state_dict(random_state(f"{name}.", trained))
    trained = trained.double().eval()
    with torch.no_grad():
        lean = fold(copy.deepcopy(trained))
        before, after = call(trained), call(lean)
    assert before.std() > 1e-3
    assert (before - after).abs().max() <= 1e-5 * before.abs().max()


@pytest.mark.parametrize("name", CASES)
def test_folded_network_has_no_norms_after_convolutions_and_no_gradients(name):
    make, _ = CASES[name]
    lean = fold(make())
    assert not lean.training
    assert not any(parameter.requires_grad for parameter in lean.parameters())
    assert not any(key.endswith(("weight_orig", "weight_u")) for key in lean.state_dict())
    for module in lean.modules():
        for _, norm in getattr(module, "FOLDS", ()):
            assert isinstance(module.get_submodule(norm), nn.Identity)


def test_kept_submodules_compute_the_same_bits():
    network = Generator(SMALL_GENERATOR).eval()
    network.load_state_dict(random_state("generator.", network))
    lean = fold(copy.deepcopy(network), BEFORE_MASKS)
    folded = fold(copy.deepcopy(network))
    image, source, driving = (part.float() for part in (numbers(1, 3, 64, 64), numbers(1, 5, 3), numbers(1, 5, 3)))
    with torch.no_grad():
        wanted, found, other = (
            net.dense_motion_network(net.encode_source(image).compressed, source, driving)
            for net in (network, lean, folded)
        )
    assert all(map(torch.equal, wanted, found))
    assert not torch.equal(wanted.mask, other.mask)
    assert not any(key.endswith("weight_orig") for key in lean.state_dict()), "the decoder is folded"


def test_folding_one_pair_against_the_formula():
    conv, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0.0)
    conv.weight.data.fill_(3.0)
    norm.running_mean.fill_(5.0)
    norm.running_var.fill_(4.0)
    norm.weight.data.fill_(10.0)
    norm.bias.data.fill_(1.0)
    weight, bias = folded_weights(conv, norm)
    assert weight.item() == pytest.approx(15.0)
    assert bias.item() == pytest.approx(-24.0)


def test_source_is_encoded_once_for_many_frames():
    network = fold(Generator(SMALL_GENERATOR)).double()
    image, source, driving = numbers(1, 3, 64, 64), numbers(1, 5, 3), numbers(4, 5, 3)
    with torch.no_grad():
        encoded = network.encode_source(image)
        together = network.render(encoded, source, driving)
        alone = torch.cat([network(image, source, frame[None]) for frame in driving])
    assert together.shape == (4, 3, 64, 64)
    assert torch.allclose(together, alone, atol=1e-9)
