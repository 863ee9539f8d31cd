"""What goes wrong in a training run, as sentences that say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.errors import EngineError

if TYPE_CHECKING:
    from sadtalker_ext.training.core.loop import Plan

_MEMORY_WORDS: Final = ("out of memory", "can't allocate memory", "not enough memory")


def refuse_nan(step: int, row: Mapping[str, float], plan: Plan) -> None:
    """EngineError where a figure of a step is no finite number."""
    bad = [f"{name} = {value}" for name, value in row.items() if not np.isfinite(value)]
    if bad:
        coarse = ", or with --precision bf16 or no" if plan.precision == "fp16" else ""
        raise EngineError(
            f"training diverged at step {step}: {', '.join(bad)}; lower --learning-rate (now "
            f"{plan.learning_rate:g}) and start again in a new folder{coarse}, or check the data for bad numbers"
        )


def is_memory(error: Exception) -> bool:
    """Whether an error of torch or Python says that memory has run out."""
    return isinstance(error, MemoryError) or any(word in str(error) for word in _MEMORY_WORDS)


def out_of_memory(step: int, plan: Plan) -> str:
    """What to do with less memory; smaller batches add up to the same steps, so the run can go on."""
    start = f"training ran out of memory at step {step} with batches of {plan.batch_size}; "
    if plan.batch_size == 1:
        return f"{start}none is smaller: try --recompute where there is one, a smaller --config, or another device"
    smaller = plan.batch_size // 2
    parts = -(-plan.batch_size * plan.accumulate // smaller)
    return (
        f"{start}try --batch-size {smaller} --accumulate {parts}: a step still sees "
        f"{smaller * parts} examples, and the run goes on from its last checkpoint"
    )
