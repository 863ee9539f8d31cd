"""Opened engines: used for one video, shared by the videos of a batch, or kept by a server."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from sadtalker_ext.engines.recent_values import RecentValues
from sadtalker_ext.engines.registry import check_settings
from sadtalker_ext.errors import EngineError, SettingsError
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from types import TracebackType

    from sadtalker_ext.engines.protocol import Engine

KEPT_PORTRAITS: Final = 4
"""Prepared portraits that stay in memory while an engine is open; one of 2048 pixels takes about 30 MB."""


class EngineSource(Protocol):
    """Where a video gets its engine from.

    portraits: portraits that were prepared for earlier videos of this source.
    """

    portraits: RecentValues[Any]

    def acquire(self, settings: Settings, runtime: Runtime) -> OpenEngine:
        """Return an engine opened for these settings."""
        ...

    def release(self, engine: OpenEngine) -> None:
        """Return the engine after the video."""
        ...


class OpenEngine:
    """An engine that stays open until :meth:`close`; also a context manager.

    It keeps the portraits that were prepared for it, so that several voices for one portrait find its face once. One
    video may be made with it at a time.
    """

    def __init__(self, engine: Engine, name: str, options: Hashable) -> None:
        self.engine = engine
        self.name = name
        self.portraits: RecentValues[Any] = RecentValues(KEPT_PORTRAITS)
        self._options = options
        self._closed = False

    def __enter__(self) -> OpenEngine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def acquire(self, settings: Settings, runtime: Runtime) -> OpenEngine:
        """Return this engine; raise SettingsError if ``settings`` need it to be opened differently."""
        if self._closed:
            raise EngineError(f"The engine {self.name} is closed; open it again with open_engine({self.name!r})")
        entry = check_settings(settings)
        if entry.name != self.name or entry.options(settings) != self._options:
            raise SettingsError(
                f"The open engine {self.name} was opened with other settings; pass the same engine settings to "
                "open_engine and to the video"
            )
        return self

    def release(self, engine: OpenEngine) -> None:
        """Keep the engine open for the next video."""

    def close(self) -> None:
        """Free the memory of the engine and of the prepared portraits; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self.portraits.clear()
            self.engine.close()


class SingleUse:
    """Opens an engine for one video and closes it afterwards."""

    def __init__(self) -> None:
        self.portraits: RecentValues[Any] = RecentValues(1)

    def acquire(self, settings: Settings, runtime: Runtime) -> OpenEngine:
        """Open the engine that ``settings`` choose."""
        entry = check_settings(settings)
        options = entry.options(settings)
        return OpenEngine(entry.open(runtime, options), entry.name, options)

    def release(self, engine: OpenEngine) -> None:
        """Close the engine."""
        engine.close()


class EngineCache:
    """Keeps the engine that was used last open, for programs that make many videos, one at a time."""

    def __init__(self) -> None:
        self.portraits: RecentValues[Any] = RecentValues(KEPT_PORTRAITS)
        self._lock = threading.Lock()
        self._key: Hashable = None
        self._open: OpenEngine | None = None

    def __enter__(self) -> EngineCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def acquire(self, settings: Settings, runtime: Runtime) -> OpenEngine:
        """Return the open engine if it has the right options; otherwise close it and open the right one."""
        entry = check_settings(settings)
        key = (entry.name, runtime, entry.options(settings))
        with self._lock:
            if self._open is None or key != self._key:
                self._close()
                self._open, self._key = SingleUse().acquire(settings, runtime), key
            return self._open

    def release(self, engine: OpenEngine) -> None:
        """Keep the engine open for the next video."""

    def close(self) -> None:
        """Close the engine that is open, if any."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        self.portraits.clear()
        engine, self._open = self._open, None
        if engine is not None:
            engine.close()


def open_engine(name: str = "", settings: Settings | None = None, runtime: Runtime | None = None) -> OpenEngine:
    """Open an engine for several videos.

    name: of the engine; empty: the one that ``settings`` choose. settings: those that decide how the engine is opened
    (for the engine sadtalker mode, size, parity and paste) must be equal to those of the videos made with it.

    Raises SettingsError for an unknown engine, WeightsError if checkpoints are missing, EngineError if the device or
    dtype cannot be used.

    Example::

        with open_engine("starter") as engine:
            for voice in voices:
                animate("me.jpg", voice, f"{voice}.mp4", engine=engine)
    """
    chosen = settings or Settings()
    return SingleUse().acquire(replace(chosen, engine=name) if name else chosen, runtime or Runtime())
