"""Items that are computed in a thread while the caller still works on earlier ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextvars import copy_context
from queue import Empty, Queue
from typing import Generic, TypeVar

T = TypeVar("T")


class _End:
    """Last entry of the queue. error: with which the items ended, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Reader(Generic[T]):
    """The thread, and the queue through which it hands over the items."""

    def __init__(self, items: Callable[[], Iterator[T]], depth: int) -> None:
        self._items = items
        self._queue: Queue[T | _End] = Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._read,), name="sadtalker-read-ahead", daemon=True
        )
        self._thread.start()

    def next(self) -> T | _End:
        """Wait for the next item, or for the end."""
        return self._queue.get()

    def stop(self) -> None:
        """End the thread, after the item that it is computing."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()  # makes room for a thread that waits to hand over
            except Empty:
                self._thread.join(timeout=0.05)

    def _read(self) -> None:
        try:
            for item in self._items():
                self._queue.put(item)
                if self._stopped.is_set():
                    break
        except BaseException as e:  # noqa: BLE001 - raised again where the items are read
            self._queue.put(_End(e))
        else:
            self._queue.put(_End())


def read_ahead(items: Callable[[], Iterator[T]], depth: int) -> Generator[T, None, None]:
    """Yield the items of the iterator that ``items`` returns, computed in a thread, at most ``depth`` + 1 ahead.

    An error is raised after the items before it. Closing the generator waits for the item that is being computed;
    afterwards nothing runs any more. The first item is not computed before it is asked for.
    """
    reader = _Reader(items, depth)
    try:
        while not isinstance(item := reader.next(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        reader.stop()
