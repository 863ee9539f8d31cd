"""Batches that shrink when memory runs out; the batch size never changes a result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Final, TypeVar

from sadtalker_ext.errors import EngineError
from sadtalker_ext.runtime import is_out_of_memory

Result = TypeVar("Result")

LOG: Final = logging.getLogger(__name__)


def in_batches(total: int, size: int, work: Callable[[range], Result], first: int = 0) -> Generator[Result, None, None]:
    """Yield ``work(range)`` for consecutive ranges of ``total`` items, at most ``size`` at once.

    first: items of the first range, which doubles up to ``size``; 0 begins with ``size``. If memory runs out, the range
    is halved, computed again, and not enlarged any more. EngineError if a single item does not fit.
    """
    start, limit = 0, max(1, size)
    size = min(first or limit, limit)
    while start < total:
        part = range(start, min(start + size, total))
        try:
            result = work(part)
        except (RuntimeError, MemoryError) as e:
            if not is_out_of_memory(e):
                raise
            if len(part) == 1:
                raise EngineError(
                    "There is not enough memory to render a single frame; use the render size 256, a smaller "
                    "picture, or the CPU"
                ) from e
            size = limit = len(part) // 2
            _free_cached_memory()
            LOG.warning("out of memory; continuing with %d frames at once", size)
            continue
        yield result
        start, size = part.stop, min(2 * size, limit)


def _free_cached_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
