"""Folding: batch and spectral norms merge into convolution weights, for inference.

A trainable network keeps the official keys; :func:`fold` turns it into the lean network that serves.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

FoldPairs = tuple[tuple[str, str], ...]
"""Dotted paths of a convolution and of the norm that follows it, below the module that names them."""
Network = TypeVar("Network", bound=nn.Module)
BatchNorm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def fold(network: Network) -> Network:
    """Make ``network`` lean in place and return it: evaluation mode, no gradients, norms merged.

    Its results stay the same within float rounding; its state dict is no longer the official one.
    Modules name their pairs in ``FOLDS``; modules with a ``make_lean`` method finish themselves.
    """
    network.eval().requires_grad_(False)
    for module in list(network.modules()):
        if has_spectral_norm(module):
            torch.nn.utils.remove_spectral_norm(module)
            module.requires_grad_(False)
        for conv_path, norm_path in getattr(module, "FOLDS", ()):
            _merge(module, conv_path, norm_path)
    for module in list(network.modules()):
        make_lean = getattr(module, "make_lean", None)
        if make_lean is not None:
            make_lean()
    return network


def has_spectral_norm(module: nn.Module) -> bool:
    """Whether the module's weight is divided by its largest singular value at each call."""
    return "weight_orig" in module._parameters


def folded_weights(conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution that does what ``conv`` followed by ``norm`` does in evaluation."""
    if not isinstance(conv, Convolution) or not isinstance(norm, BatchNorm):
        raise TypeError(f"cannot fold {type(norm).__name__} into {type(conv).__name__}")
    if norm.running_var is None or norm.running_mean is None:
        raise TypeError("a batch norm without running statistics cannot be folded")
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = 0.0 if conv.bias is None else conv.bias.double()
    shifted = (bias - norm.running_mean.double()) * scale + norm.bias.double()
    weight = conv.weight.double() * scale.view(-1, *[1] * (conv.weight.ndim - 1))
    return weight.to(conv.weight.dtype), shifted.to(conv.weight.dtype)


def _merge(owner: nn.Module, conv_path: str, norm_path: str) -> None:
    conv, norm = owner.get_submodule(conv_path), owner.get_submodule(norm_path)
    if isinstance(norm, nn.Identity):
        return
    weight, bias = folded_weights(conv, norm)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(bias, requires_grad=False)
    parent_path, _, name = norm_path.rpartition(".")
    owner.get_submodule(parent_path)._modules[name] = nn.Identity()
