"""The fast generator is the same function as the folded reference modules, checked in float64 and in float32."""

import copy

import pytest
import torch
from test_folding import SMALL_GENERATOR, SMALL_MOTION

from sadtalker_ext.models import banded_conv, dense_motion, half_winograd, winograd
from sadtalker_ext.models.fast_generator import FastGenerator
from sadtalker_ext.models.folding import fold
from sadtalker_ext.models.generator import BEFORE_MASKS, Generator, GeneratorConfig
from sadtalker_ext.models.spade import SpadeConfig
from sadtalker_ext.weights.random_weights import random_state

THREE_DOUBLINGS = GeneratorConfig(
    base_channels=4, max_channels=32, halvings=3, depth=4, resblocks=1, motion=SMALL_MOTION,
    decoder=SpadeConfig(middle_blocks=1, modulation_channels=6),
)  # fmt: skip


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def seeded(config):
    network = Generator(config)
    network.load_state_dict(random_state("generator.", network))
    return network.eval()


def given(dtype=torch.float64):
    return [part.to(dtype) for part in (numbers(1, 3, 64, 64).sigmoid(), numbers(1, 5, 3) / 3, numbers(3, 5, 3) / 3)]


@pytest.mark.parametrize("config", [SMALL_GENERATOR, THREE_DOUBLINGS], ids=["two doublings", "three doublings"])
@pytest.mark.parametrize("halves", [(), (torch.float64,)], ids=["as in float32", "as in bfloat16"])
@torch.no_grad()
def test_it_is_the_same_function_in_float64(config, halves, monkeypatch):
    monkeypatch.setattr(winograd, "BAND_TILES", 8)
    monkeypatch.setattr(half_winograd, "BAND_PIXELS", 128)
    monkeypatch.setattr(banded_conv, "HALVES", halves)
    network = seeded(config).double()
    image, source, driving = given()
    wanted = network.render(network.encode_source(image), source, driving)
    fast = FastGenerator(fold(network))
    found = fast.render(fast.encode_source(image), source, driving)
    assert wanted.std() > 1e-3
    assert (found - wanted).abs().max() < 1e-6, "weights are folded through float32 values"


@torch.no_grad()
def test_float32_differs_by_far_less_than_a_level_of_a_pixel():
    network = seeded(SMALL_GENERATOR)
    image, source, driving = given(torch.float32)
    wanted = network.render(network.encode_source(image), source, driving)
    fast = FastGenerator(fold(network))
    found = fast.render(fast.encode_source(image), source, driving)
    assert found.dtype == torch.float32
    assert (found - wanted).abs().max() < 1e-3


@torch.no_grad()
def test_frames_stay_the_same_where_masks_are_cut(monkeypatch):
    """The cut is placed within rounding of a mask value, as happens once in a million values of the official one."""
    network = seeded(SMALL_GENERATOR)
    exact, folded = (FastGenerator(fold(copy.deepcopy(network), keep)) for keep in (BEFORE_MASKS, ()))
    image, source, driving = given(torch.float32)
    driving = driving[:1]
    wanted, other = (
        net.dense_motion_network(net.encode_source(image).compressed, source, driving).mask
        for net in (network, folded.generator)
    )
    lower = ((other < wanted) & (wanted > 0.1)).flatten().nonzero()[0]
    monkeypatch.setattr(dense_motion, "MASK_FLOOR", wanted.flatten()[lower].item())
    frame = network(image, source, driving)
    differences = [
        (net.render(net.encode_source(image), source, driving) - frame).abs().max().item() for net in (exact, folded)
    ]
    assert differences[0] < 2e-5
    assert differences[1] > 1e-4


@torch.no_grad()
def test_every_frame_has_its_own_source():
    fast = FastGenerator(fold(seeded(SMALL_GENERATOR).double()))
    images, source, driving = numbers(2, 3, 64, 64).sigmoid(), numbers(2, 5, 3) / 3, numbers(2, 5, 3) / 2
    together = fast.render(fast.encode_source(images), source, driving)
    for index in range(2):
        lane = slice(index, index + 1)
        alone = fast.render(fast.encode_source(images[lane]), source[lane], driving[lane])
        assert torch.allclose(together[lane], alone, atol=1e-12)


def test_a_generator_that_is_not_folded_is_refused():
    with pytest.raises(ValueError, match="folded first"):
        FastGenerator(seeded(SMALL_GENERATOR))
