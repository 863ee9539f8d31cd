"""Fold batch norms and spectral norms into convolution weights for inference."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import torch
from torch import Tensor, nn

FoldPairs = tuple[tuple[str, str], ...]
"""Pairs of dotted paths, relative to the module: a convolution and the norm that follows it."""
Network = TypeVar("Network", bound=nn.Module)
BatchNorm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def fold(network: Network, keep: Collection[str] = ()) -> Network:
    """Fold the norms of ``network`` in place, switch it to eval mode, disable gradients, and return it.

    Outputs stay the same up to rounding; the state dict no longer has the official keys. Modules list their pairs in
    ``FOLDS``; ``optimize_for_inference()`` of modules that have this method is called at the end.

    keep: names of direct submodules that keep the order of their operations, and so their outputs to the last bit.
    """
    network.eval().requires_grad_(False)
    kept = {id(module) for name in keep for module in network.get_submodule(name).modules()}
    modules = [module for module in network.modules() if id(module) not in kept]
    for module in modules:
        if has_spectral_norm(module):
            torch.nn.utils.remove_spectral_norm(module)
            module.requires_grad_(False)
        for conv_path, norm_path in getattr(module, "FOLDS", ()):
            _merge(module, conv_path, norm_path)
    for module in modules:
        optimize = getattr(module, "optimize_for_inference", None)
        if optimize is not None:
            optimize()
    return network


def has_spectral_norm(module: nn.Module) -> bool:
    """Return whether ``module`` has spectral norm (its weight is divided by the largest singular value)."""
    return "weight_orig" in module._parameters


def folded_weights(conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution that equals ``conv`` followed by ``norm`` in eval mode.

    TypeError for other kinds of modules, or for a batch norm without running statistics.
    """
    if not isinstance(conv, Convolution) or not isinstance(norm, BatchNorm):
        raise TypeError(f"cannot fold {type(norm).__name__} into {type(conv).__name__}")
    if norm.running_var is None or norm.running_mean is None:
        raise TypeError("a batch norm without running statistics cannot be folded")
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = 0.0 if conv.bias is None else conv.bias.double()
    shifted = (bias - norm.running_mean.double()) * scale + norm.bias.double()
    weight = conv.weight * scale.to(conv.weight.dtype).view(-1, *[1] * (conv.weight.ndim - 1))
    return weight, shifted.to(conv.weight.dtype)


def _merge(owner: nn.Module, conv_path: str, norm_path: str) -> None:
    conv, norm = owner.get_submodule(conv_path), owner.get_submodule(norm_path)
    if isinstance(norm, nn.Identity) or conv.weight.is_meta:  # a part whose weights are not loaded
        return
    weight, bias = folded_weights(conv, norm)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(bias, requires_grad=False)
    parent_path, _, name = norm_path.rpartition(".")
    owner.get_submodule(parent_path)._modules[name] = nn.Identity()
