"""Garbage collection stops for imports and continues afterwards."""

from __future__ import annotations

import gc
import weakref

import pytest

from sadtalker_ext.system.fast_imports import fast_imports


class Cycle:
    """An object that only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_within_the_block() -> None:
    with fast_imports():
        lost = weakref.ref(Cycle())
        kept = [Cycle() for _ in range(3 * gc.get_threshold()[0])]
        assert lost() is not None
    assert len(kept) > 0
    assert gc.isenabled()
    found = weakref.ref(Cycle())
    gc.collect()
    assert found() is None


def test_collection_continues_after_an_error() -> None:
    with pytest.raises(ImportError), fast_imports():
        raise ImportError
    assert gc.isenabled()


def test_a_program_that_collects_nothing_keeps_it_so() -> None:
    gc.disable()
    with fast_imports():
        pass
    assert not gc.isenabled()
