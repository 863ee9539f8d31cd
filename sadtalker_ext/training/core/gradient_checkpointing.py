"""Gradient checkpointing: less memory, slower, identical results.

Blocks do not store their inner activations but compute them again in the backward pass. A second forward pass in
training mode would update the running statistics of batch norms and the power iteration of spectral norms a second
time; both are frozen while a block is recomputed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, Final

from torch import nn
from torch.utils.checkpoint import checkpoint

from sadtalker_ext.models.blocks import ConvNorm2d, ConvNorm3d, ResBlock3d
from sadtalker_ext.models.head_estimator import ResBottleneck
from sadtalker_ext.models.spade import SpadeBlock

CHECKPOINTED_BLOCKS: Final = (SpadeBlock, ResBlock3d, ConvNorm3d, ConvNorm2d, ResBottleneck)
"""Blocks of the renderer's networks that are recomputed as a whole."""


def enable_gradient_checkpointing(
    network: nn.Module, kinds: tuple[type[nn.Module], ...] = CHECKPOINTED_BLOCKS
) -> None:
    """Make every module of ``kinds`` in ``network`` recompute its activations; the state dict does not change."""
    for module in network.modules():
        if isinstance(module, kinds):
            module.forward = _CheckpointedForward(module, type(module).forward)


class _CheckpointedForward:
    """Forward of a module that stores only its inputs for the backward pass."""

    def __init__(self, module: nn.Module, forward: Any) -> None:  # noqa: ANN401 - forward of any module
        self.module, self.inner = module, forward

    def __call__(self, *inputs: Any) -> Any:  # noqa: ANN401 - like the forward of the module
        return checkpoint(
            functools.partial(self.inner, self.module), *inputs, use_reentrant=False, preserve_rng_state=False,
            context_fn=lambda: (contextlib.nullcontext(), frozen_buffers(self.module)),
        )  # fmt: skip


@contextlib.contextmanager
def frozen_buffers(module: nn.Module) -> Iterator[None]:
    """Context in which a forward pass in training mode changes no buffer of ``module``."""
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    hooks: list[Any] = [hook for part in module.modules() for hook in part._forward_pre_hooks.values()]
    spectral = [hook for hook in hooks if hasattr(hook, "n_power_iterations")]
    momenta = [norm.momentum for norm in norms]
    counts = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in norms]
    iterations = [hook.n_power_iterations for hook in spectral]
    for norm in norms:
        norm.momentum = 0.0
    for hook in spectral:
        hook.n_power_iterations = 0
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            if count is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(count)
        for hook, number in zip(spectral, iterations, strict=True):
            hook.n_power_iterations = number
