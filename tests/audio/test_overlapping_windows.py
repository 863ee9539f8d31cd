"""Windows that overlap: slices of the padded signal, for any blocks, in constant memory."""

import numpy as np
import pytest

from sadtalker_ext.audio.overlapping_windows import overlapping_windows

SIGNAL = np.random.default_rng(0).normal(size=1000).astype(np.float32)


@pytest.mark.parametrize("size", [1, 7, 100, 2000])
@pytest.mark.parametrize(("total", "step", "margins"), [(1000, 64, (10, 3)), (999, 300, (0, 0)), (1500, 64, (5, 90))])
def test_windows_are_slices_of_the_padded_signal(size, total, step, margins):
    padded = np.concatenate([np.zeros(margins[0]), SIGNAL, np.zeros(total + step + sum(margins))]).astype(np.float32)
    blocks = iter([SIGNAL[start : start + size] for start in range(0, len(SIGNAL), size)])
    found = list(overlapping_windows(blocks, total, step, margins))
    assert len(found) == -(-total // step)
    for number, window in enumerate(found):
        wanted = margins[0] + min(step, total - number * step) + margins[1]
        np.testing.assert_array_equal(window, padded[number * step : number * step + wanted])


def test_blocks_are_read_only_when_they_are_needed():
    read = []

    def blocks():
        for number in range(100):
            read.append(number)
            yield np.zeros(100, np.float32)

    windows = overlapping_windows(blocks(), 10_000, 100, (20, 20))
    next(windows)
    next(windows)
    assert len(read) <= 3


def test_nothing_for_no_samples():
    assert list(overlapping_windows(iter([SIGNAL]), 0, 64, (10, 10))) == []
