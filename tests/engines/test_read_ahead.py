"""Items computed ahead: their order, the bound, errors, and what runs after the end."""

import threading
import time
from contextvars import ContextVar

import pytest

from sadtalker_ext.engines.read_ahead import read_ahead


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "sadtalker-read-ahead"]


def wait_for(condition):
    end_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.002)


def test_items_come_in_order_from_another_thread():
    makers = set()

    def items():
        for number in range(50):
            makers.add(threading.get_ident())
            yield number

    assert list(read_ahead(items, 3)) == list(range(50))
    assert len(makers) == 1
    assert threading.get_ident() not in makers
    assert threads() == []


def test_computing_goes_on_while_the_reader_works_but_only_so_far():
    made = []
    reader = read_ahead(lambda: (made.append(number) or number for number in range(20)), 2)
    assert made == []
    assert next(reader) == 0
    wait_for(lambda: len(made) == 4)  # one read, two in the queue, one that waits for a place
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]
    assert list(reader) == list(range(1, 20))


def test_an_error_is_raised_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise MemoryError("no more")

    reader = read_ahead(items, 4)
    assert [next(reader), next(reader)] == [1, 2]
    with pytest.raises(MemoryError, match="no more"):
        next(reader)
    assert threads() == []


@pytest.mark.parametrize("read", [0, 1, 5])
def test_a_closed_generator_leaves_no_thread_and_closes_the_items(read):
    ended = []

    def items():
        try:
            yield from range(1000)
        finally:
            ended.append(True)

    reader = read_ahead(items, 1)
    for _ in range(read):
        next(reader)
    reader.close()
    assert threads() == []
    assert ended == [True] * (read > 0)


def test_closing_waits_for_the_item_that_is_computed():
    begun, finished = threading.Event(), []

    def items():
        yield 0
        begun.set()
        time.sleep(0.1)
        finished.append(True)
        yield 1

    reader = read_ahead(items, 1)
    next(reader)
    assert begun.wait(10)
    reader.close()
    assert finished == [True]


def test_an_error_of_the_reader_ends_the_thread():
    def read():
        for _ in read_ahead(lambda: iter(range(1000)), 2):
            raise ValueError("reader")

    with pytest.raises(ValueError, match="reader"):
        read()
    wait_for(lambda: threads() == [])


def test_context_variables_are_those_of_the_reader():
    variable = ContextVar("variable", default="none")
    variable.set("reader's")
    assert list(read_ahead(lambda: iter([variable.get()]), 1)) == ["reader's"]
