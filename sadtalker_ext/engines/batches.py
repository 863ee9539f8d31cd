"""Work in batches that shrink when memory runs out; the size of a batch never changes a result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from sadtalker_ext.errors import EngineError

Result = TypeVar("Result")

LOG = logging.getLogger(__name__)
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")
"""What torch says on CUDA, MPS and the CPU."""


def in_batches(total: int, size: int, work: Callable[[range], Result]) -> Iterator[Result]:
    """``work`` on consecutive ranges of ``total`` items, at most ``size`` at once and half of that after each failure.

    An EngineError says so when not even one item fits.
    """
    start, size = 0, max(1, size)
    while start < total:
        part = range(start, min(start + size, total))
        try:
            result = work(part)
        except (RuntimeError, MemoryError) as e:
            if not is_out_of_memory(e):
                raise
            if len(part) == 1:
                raise EngineError(
                    "There is not enough memory to render even one frame; use --size 256, a smaller picture or the CPU"
                ) from e
            size = len(part) // 2
            _free()
            LOG.warning("memory ran out; going on with %d frames at once", size)
            continue
        yield result
        start = part.stop


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of torch or Python means that memory ran out."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)


def _free() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
