"""Networks whose tensors have shapes only, until a checkpoint is loaded; no random initial values are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

INIT_MODULE: Final = "torch.nn.init"
DRAWS: Final = (Tensor.normal_, Tensor.uniform_)
"""Methods that modules call themselves, such as those of spectral norm."""


class _KeepAsMade(TorchFunctionMode):
    """Leaves tensors as they were made."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        if is_initializer(func) or func is F.normalize:  # of the vectors of spectral norm: the shape stays
            return args[0] if args else kwargs["tensor"]
        return (torch.empty if func is torch.randn else func)(*args, **(kwargs or {}))


@contextmanager
def shapes_only() -> Iterator[None]:
    """Make networks on the meta device inside the block.

    To draw numbers on this device, torch imports its compiler, which takes longer than to read the checkpoint.
    """
    with torch.device("meta"), _KeepAsMade():
        yield


def is_initializer(func: Any) -> bool:  # noqa: ANN401 - any function of torch
    """Return whether a function of torch only fills its first argument with initial values."""
    return getattr(func, "__module__", "") == INIT_MODULE or func in DRAWS
