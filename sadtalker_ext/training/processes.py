"""The processes of one training run: Hugging Face accelerate, and who of them writes files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sadtalker_ext.errors import MissingPackageError

if TYPE_CHECKING:
    from accelerate import Accelerator


def open_accelerator(precision: str) -> Accelerator:
    """Accelerate for this process; precision: "no", "fp16" or "bf16". MissingPackageError without the package."""
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise MissingPackageError(
            "training needs the package accelerate; install it with: pip install accelerate"
        ) from error
    return Accelerator(mixed_precision=precision)


def is_main_process() -> bool:
    """Whether this process is the one of a run that writes files."""
    from accelerate import PartialState

    return bool(PartialState().is_main_process)
