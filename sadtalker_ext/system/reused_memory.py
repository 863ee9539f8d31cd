"""Freed memory that the program uses again, instead of returning it to the operating system each time."""

from __future__ import annotations

from typing import Final

LARGEST_BYTES: Final = 16 * 2**20
"""Blocks up to this size are reused; the maps of the networks for faces take 0.3 to 5 MB."""


def reuse_freed_memory() -> None:
    """Let glibc reuse freed blocks of up to 16 MB, and keep up to 32 MB of free memory for that; no effect elsewhere.

    At first, glibc returns freed blocks of more than 128 kB. The next one of that size is new memory, whose pages are
    mapped one by one when they are written, which takes longer than a small network needs for its arithmetic. When a
    program frees a larger block, glibc raises both limits to its size (see "M_MMAP_THRESHOLD" in mallopt(3)): one is
    allocated and freed here without being written.
    """
    import numpy as np

    np.empty(LARGEST_BYTES, np.uint8)
