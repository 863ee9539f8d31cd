"""Error messages of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.errors import EngineError

if TYPE_CHECKING:
    from sadtalker_ext.training.core.plan import Plan


def require_finite(step: int, values: Mapping[str, float], plan: Plan) -> None:
    """Raise EngineError if a loss or gradient norm of ``step`` is not finite."""
    bad = [f"{name} = {value}" for name, value in values.items() if not np.isfinite(value)]
    if bad:
        other_precision = " or with --precision bf16 or no" if plan.precision == "fp16" else ""
        raise EngineError(
            f"Training diverged at step {step}: {', '.join(bad)}. Start again in a new folder with a lower "
            f"--learning-rate (now {plan.learning_rate:g}){other_precision}, or check the data for invalid numbers."
        )


def out_of_memory_message(step: int, plan: Plan) -> str:
    """Return the error message for a step that does not fit into memory, with options that need less.

    The suggested smaller batches form steps of the same size, so the run can be resumed with them.
    """
    start = f"Training ran out of memory at step {step} with batches of {plan.batch_size}."
    if plan.batch_size == 1:
        return (
            f"{start} The batch cannot be smaller; try --gradient-checkpointing if the command has it, a smaller "
            "--config, or another device."
        )
    smaller = plan.batch_size // 2
    parts = -(-plan.batch_size * plan.accumulate // smaller)
    return (
        f"{start} Try --batch-size {smaller} --accumulate {parts}: a step still uses {smaller * parts} examples, and "
        "the run resumes from its last checkpoint."
    )
