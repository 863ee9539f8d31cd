"""Imports of large packages without garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fast_imports() -> Iterator[None]:
    """Within the block, no garbage is collected; what the block has imported is not examined by later collections.

    Importing torch creates some 300 000 objects, none of them garbage. Looking for garbage among them takes a tenth of
    the time. For programs of this package only: the objects of the whole process are excluded from later collections.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if collecting:
            gc.enable()
