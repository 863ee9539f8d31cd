"""Blocks that compute again in the backward pass change no number, and keep less."""

from __future__ import annotations

import copy

import pytest
import torch

from sadtalker_ext.models.blocks import ConvNorm2d
from sadtalker_ext.models.spade import SpadeBlock
from sadtalker_ext.training.core.gradient_checkpointing import recompute_blocks
from sadtalker_ext.training.sadtalker.model_sizes import TINY
from sadtalker_ext.training.sadtalker.renderer_networks import Renderer


def run(renderer):
    """Loss, gradients and buffers after one training pass, and the bytes that wait for the backward pass."""
    random = torch.Generator().manual_seed(4)
    source, driving = torch.rand(2, 3, 32, 32, generator=random), torch.rand(2, 3, 32, 32, generator=random)
    kept = {}

    def pack(tensor):
        kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    renderer.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        found, moved = renderer(source, driving, driving)
    loss = (moved.picture - driving).abs().mean() + found.warped.square().mean()
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in renderer.named_parameters() if p.grad is not None}
    buffers = {name: buffer.clone() for name, buffer in renderer.named_buffers()}
    return float(loss.detach()), gradients, buffers, sum(kept.values())


def test_numbers_stay_and_memory_shrinks():
    torch.manual_seed(0)
    plain = Renderer(TINY)
    frugal = copy.deepcopy(plain)
    recompute_blocks(frugal)
    assert frugal.state_dict().keys() == plain.state_dict().keys()
    loss, gradients, buffers, kept = run(plain)
    again_loss, again, again_buffers, again_kept = run(frugal)
    assert again_loss == loss
    assert gradients.keys() == again.keys()
    assert len(gradients) > 100
    for name, value in gradients.items():
        assert torch.allclose(again[name], value, rtol=1e-4, atol=1e-7), name
    for name, value in buffers.items():
        assert torch.equal(again_buffers[name], value), name
    assert again_kept < 0.6 * kept


def test_a_copy_computes_with_its_own_weights():
    """The running average of the weights is a copy made after blocks were told to compute again."""
    torch.manual_seed(1)
    block = ConvNorm2d(3, 4)
    recompute_blocks(block)
    other = copy.deepcopy(block).eval()
    block.eval()
    x = torch.rand(1, 3, 8, 8)
    before = other(x)
    with torch.no_grad():
        block.conv.weight.mul_(3)
    assert torch.equal(other(x), before)
    assert not torch.equal(block(x), before)


@pytest.mark.parametrize("calls", [1, 3])
def test_spectral_norms_move_once_per_call(calls):
    torch.manual_seed(2)
    block = SpadeBlock(4, 6, 3, 8)
    plain = copy.deepcopy(block)
    recompute_blocks(block)
    for _ in range(calls):
        x, guide = torch.rand(1, 4, 8, 8, requires_grad=True), torch.rand(1, 3, 4, 4)
        plain(x, guide).sum().backward()
        block(x, guide).sum().backward()
    assert torch.equal(block.conv_0.weight_u, plain.conv_0.weight_u)
