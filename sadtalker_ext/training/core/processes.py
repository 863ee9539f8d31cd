"""Access to the processes of a training run through Hugging Face accelerate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sadtalker_ext.errors import MissingPackageError

if TYPE_CHECKING:
    from accelerate import Accelerator


def open_accelerator(precision: str, *, unused_parameters: bool = False) -> Accelerator:
    """Return the accelerator of this process.

    precision: "no", "fp16" or "bf16". unused_parameters: whether a step may leave a part of a network without
    gradients. Raises MissingPackageError if accelerate is not installed.
    """
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as error:
        raise MissingPackageError(
            "Training needs the package accelerate; install it with: pip install accelerate"
        ) from error
    options = DistributedDataParallelKwargs(find_unused_parameters=unused_parameters)
    return Accelerator(mixed_precision=precision, kwargs_handlers=[options])


def is_main_process() -> bool:
    """Return whether this process writes the files of the run."""
    from accelerate import PartialState

    return bool(PartialState().is_main_process)
