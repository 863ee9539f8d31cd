"""Gradient checkpointing: identical results with less memory."""

from __future__ import annotations

import copy

import pytest
import torch

from sadtalker_ext.models.blocks import ConvNorm2d
from sadtalker_ext.models.spade import SpadeBlock
from sadtalker_ext.training.core.gradient_checkpointing import enable_gradient_checkpointing
from sadtalker_ext.training.sadtalker.model_sizes import TINY
from sadtalker_ext.training.sadtalker.renderer_networks import Renderer


def run(renderer):
    """Return loss, gradients and buffers after one training pass, and the bytes stored for the backward pass."""
    random = torch.Generator().manual_seed(4)
    source, driving = torch.rand(2, 3, 32, 32, generator=random), torch.rand(2, 3, 32, 32, generator=random)
    kept = {}

    def pack(tensor):
        kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    renderer.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        found, rendered = renderer(source, driving, driving)
    loss = (rendered.image - driving).abs().mean() + found.warped.square().mean()
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in renderer.named_parameters() if p.grad is not None}
    buffers = {name: buffer.clone() for name, buffer in renderer.named_buffers()}
    return float(loss.detach()), gradients, buffers, sum(kept.values())


def test_results_are_identical_with_less_memory():
    torch.manual_seed(0)
    plain = Renderer(TINY)
    checkpointed = copy.deepcopy(plain)
    enable_gradient_checkpointing(checkpointed)
    assert checkpointed.state_dict().keys() == plain.state_dict().keys()
    loss, gradients, buffers, kept = run(plain)
    loss_2, gradients_2, buffers_2, kept_2 = run(checkpointed)
    assert loss_2 == loss
    assert gradients.keys() == gradients_2.keys()
    assert len(gradients) > 100
    for name, value in gradients.items():
        assert torch.allclose(gradients_2[name], value, rtol=1e-4, atol=1e-7), name
    for name, value in buffers.items():
        assert torch.equal(buffers_2[name], value), name
    assert kept_2 < 0.6 * kept


def test_copy_uses_its_own_weights():
    """The moving average of the weights is a copy of a network with gradient checkpointing."""
    torch.manual_seed(1)
    block = ConvNorm2d(3, 4)
    enable_gradient_checkpointing(block)
    other = copy.deepcopy(block).eval()
    block.eval()
    x = torch.rand(1, 3, 8, 8)
    before = other(x)
    with torch.no_grad():
        block.conv.weight.mul_(3)
    assert torch.equal(other(x), before)
    assert not torch.equal(block(x), before)


@pytest.mark.parametrize("calls", [1, 3])
def test_spectral_norms_are_updated_once_per_call(calls):
    torch.manual_seed(2)
    block = SpadeBlock(4, 6, 3, 8)
    plain = copy.deepcopy(block)
    enable_gradient_checkpointing(block)
    for _ in range(calls):
        x, guide = torch.rand(1, 4, 8, 8, requires_grad=True), torch.rand(1, 3, 4, 4)
        plain(x, guide).sum().backward()
        block(x, guide).sum().backward()
    assert torch.equal(block.conv_0.weight_u, plain.conv_0.weight_u)
