"""Windows of samples that overlap by the receptive field of a network, from blocks of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sadtalker_ext.arrays import Samples


def overlapping_windows(
    blocks: Iterator[Samples], total: int, step: int, margins: tuple[int, int]
) -> Iterator[Samples]:
    """Yield windows of up to ``step`` samples each, ``total`` in all, with margins before and after them.

    blocks: consecutive samples; silence is assumed before the first and after the last. margins: samples before and
    after. Only the samples of one window and a block are kept.
    """
    before, after = margins
    held = np.zeros(before, np.float32)
    for start in range(0, total, step):
        need = before + min(step, total - start) + after
        while len(held) < need:
            block = next(blocks, None)
            fresh = np.zeros(need - len(held), np.float32) if block is None else np.asarray(block, np.float32)
            held = np.concatenate([held, fresh])
        yield held[:need]
        held = held[step:]
