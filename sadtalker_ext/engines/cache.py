"""Engines that stay open between videos: only for faces that live long, and only one, the one used last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from sadtalker_ext.engines import protocol as engines
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from sadtalker_ext.engines.protocol import Engine
    from sadtalker_ext.runtime import Runtime

    Opener = Callable[[str, Runtime, Settings], Engine]

OPENED_BY = ("mode", "size", "parity", "paste")
"""Settings that decide how an engine is built; with others it need not be opened again."""


class EngineCache:
    """Holds one open engine. Who uses it sees to it that one video is made at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[object, ...] = ()
        self._engine: Engine | None = None

    def open(self, name: str, runtime: Runtime, settings: Settings) -> Engine:
        """The engine on the shelf if it is the right one, else that is closed and this one opened."""
        key = (name, runtime, *(getattr(settings, knob) for knob in OPENED_BY))
        with self._lock:
            if self._engine is None or key != self._key:
                self._close()
                self._engine, self._key = engines.open_engine(name, runtime, settings), key
            return self._engine

    def close(self) -> None:
        """Free the memory of the engine."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()


_SHELF: ContextVar[EngineCache | None] = ContextVar("sadtalker_shelf", default=None)


@contextmanager
def using(shelf: EngineCache) -> Iterator[None]:
    """While inside, videos made in this thread take their engine from the shelf."""
    token = _SHELF.set(shelf)
    try:
        yield
    finally:
        _SHELF.reset(token)


def opener() -> Opener:
    """How this thread opens engines: from its shelf, or anew where it has none."""
    shelf = _SHELF.get()
    return engines.open_engine if shelf is None else shelf.open
