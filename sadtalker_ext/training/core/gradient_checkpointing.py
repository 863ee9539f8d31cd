"""Less memory for more time: blocks forget what is inside them and compute it again in the backward pass.

The numbers stay the same. A second pass in training mode would move the running statistics of batch norms and the
power iteration of spectral norms once more; both hold still while a block computes again.
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

BLOCKS: Final = (SpadeBlock, ResBlock3d, ConvNorm3d, ConvNorm2d, ResBottleneck)
"""What is forgotten as a whole, in the renderer's networks."""


def recompute_blocks(network: nn.Module, kinds: tuple[type[nn.Module], ...] = BLOCKS) -> None:
    """Make every block of ``kinds`` in ``network`` compute again in the backward pass; the state dict stays."""
    for module in network.modules():
        if isinstance(module, kinds):
            module.forward = _Forgetting(module, type(module).forward)


class _Forgetting:
    """A module's forward that keeps its inputs alone."""

    def __init__(self, module: nn.Module, forward: Any) -> None:  # noqa: ANN401 - any module's forward
        self.module, self.inner = module, forward

    def __call__(self, *inputs: Any) -> Any:  # noqa: ANN401 - as the module's forward
        return checkpoint(
            functools.partial(self.inner, self.module), *inputs, use_reentrant=False, preserve_rng_state=False,
            context_fn=lambda: (contextlib.nullcontext(), holding_still(self.module)),
        )  # fmt: skip


@contextlib.contextmanager
def holding_still(module: nn.Module) -> Iterator[None]:
    """Within it a forward pass in training mode changes no buffer of ``module``."""
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    hooks: list[Any] = [hook for part in module.modules() for hook in part._forward_pre_hooks.values()]
    spectral = [hook for hook in hooks if hasattr(hook, "n_power_iterations")]
    momenta = [norm.momentum for norm in norms]
    counts = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in norms]
    rounds = [hook.n_power_iterations for hook in spectral]
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
        for hook, number in zip(spectral, rounds, strict=True):
            hook.n_power_iterations = number
