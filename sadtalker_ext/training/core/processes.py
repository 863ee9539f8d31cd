"""The processes of one training run: Hugging Face accelerate, and who of them writes files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sadtalker_ext.errors import MissingPackageError

if TYPE_CHECKING:
    from accelerate import Accelerator


def open_accelerator(precision: str, *, in_parts: bool = False) -> Accelerator:
    """Accelerate for this process; MissingPackageError without the package.

    precision: "no", "fp16" or "bf16". in_parts: a step may leave a part of a network without gradients.
    """
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as error:
        raise MissingPackageError(
            "training needs the package accelerate; install it with: pip install accelerate"
        ) from error
    gathering = DistributedDataParallelKwargs(find_unused_parameters=in_parts)
    return Accelerator(mixed_precision=precision, kwargs_handlers=[gathering])


def is_main_process() -> bool:
    """Whether this process is the one of a run that writes files."""
    from accelerate import PartialState

    return bool(PartialState().is_main_process)
