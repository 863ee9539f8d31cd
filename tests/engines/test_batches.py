"""Batches that shrink when memory runs out."""

from itertools import chain

import pytest

from sadtalker_ext.engines.batches import in_batches
from sadtalker_ext.errors import EngineError


def limited(limit, asked):
    def work(part):
        asked.append(len(part))
        if len(part) > limit:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return list(part)

    return work


def test_each_item_is_computed_once_in_order():
    asked = []
    assert list(chain(*in_batches(11, 4, limited(99, asked)))) == list(range(11))
    assert asked == [4, 4, 3]


def test_the_first_batch_is_small_and_later_ones_double():
    asked = []
    assert list(chain(*in_batches(20, 8, limited(99, asked), first=1))) == list(range(20))
    assert asked == [1, 2, 4, 8, 5]


def test_batches_do_not_grow_again_after_memory_ran_out():
    asked = []
    assert list(chain(*in_batches(20, 16, limited(5, asked), first=1))) == list(range(20))
    assert asked == [1, 2, 4, 8, 4, 4, 4, 1]


def test_batches_halve_until_they_fit():
    asked = []
    assert list(chain(*in_batches(10, 8, limited(3, asked)))) == list(range(10))
    assert asked == [8, 4, 2, 2, 2, 2, 2]


def test_a_single_item_that_does_not_fit_raises():
    with pytest.raises(EngineError, match="not enough memory"):
        list(in_batches(5, 4, limited(0, [])))


def test_other_errors_pass_through():
    def broken(_):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(in_batches(5, 4, broken))
