"""A small cache for values that are expensive to make, such as prepared portraits."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class RecentValues(Generic[T]):
    """A cache of the most recently used values, for any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, T] = OrderedDict()

    def get_or_make(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of ``key``; if it is not cached, call ``make`` and cache its result."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._limit:
                self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._values.clear()


class SingleUseValue(Generic[K, T]):
    """Stores one value of one thread for a single use by another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[K, T] | None = None

    def keep(self, key: K, value: T) -> None:
        """Store a value in place of any other."""
        with self._lock:
            self._kept = key, value

    def take(self, key: K) -> T | None:
        """Return the value and forget it; None if none is stored for this key."""
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                return None
            value, self._kept = self._kept[1], None
            return value

    def clear(self) -> None:
        """Forget the value."""
        with self._lock:
            self._kept = None
