"""Batch normalisation over the batches of all processes, on any device.

torch.nn.SyncBatchNorm works on GPUs only; this class sums with a differentiable all-reduce, which gloo provides for
CPUs and NCCL for GPUs. Together with averaged gradients, N processes compute what one process computes with N batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from typing_extensions import Self


class SyncBatchNorm(_BatchNorm):
    """Batch norm of any rank whose mean and variance in training are computed over the batches of all processes."""

    @classmethod
    def of(cls, norm: _BatchNorm) -> Self:
        """Return a synchronised norm that shares the parameters and buffers of ``norm``."""
        shared = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        shared._parameters, shared._buffers = norm._parameters, norm._buffers
        return shared.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...); the result has the same shape and dtype."""
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        full = x.to(torch.promote_types(x.dtype, torch.float32))
        count = full.new_full((1,), full.numel() / full.shape[1])
        sums = torch.cat((full.sum(axes), count))
        sums = _sum_over_processes(sums)
        total, mean = sums[-1], sums[:-1] / sums[-1]
        shape = (1, -1, *[1] * (x.ndim - 2))
        centred = full - mean.view(shape)
        variance = _sum_over_processes(centred.square().sum(axes)) / total
        self._update_running_statistics(mean.detach(), variance.detach() * total / (total - 1))
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        out = centred * scale.view(shape)
        return (out + self.bias.view(shape) if self.affine else out).to(x.dtype)

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim < 2:
            raise ValueError(f"a batch norm needs (B, C, ...), got {tuple(x.shape)}")

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(variance.to(self.running_var.dtype), weight)


def convert_sync_batch_norms(network: nn.Module) -> None:
    """Replace every batch norm in ``network`` in place; parameters, buffers and their names do not change."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SyncBatchNorm):
                setattr(module, name, SyncBatchNorm.of(child))


def _sum_over_processes(values: Tensor) -> Tensor:
    from torch.distributed import is_available, is_initialized

    if not (is_available() and is_initialized()):
        return values
    from torch.distributed.nn.functional import all_reduce

    summed: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return summed
