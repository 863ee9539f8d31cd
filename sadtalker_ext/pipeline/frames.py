"""What happens to frames between the renderer and the file: restoring, watching. Every function is a generator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sadtalker_ext.errors import Cancelled, SettingsError
from sadtalker_ext.settings import NO_RESTORER

if TYPE_CHECKING:
    from sadtalker_ext.engines.engine import Frame
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.settings import Settings


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    stage: name of the stage, one of :data:`~sadtalker_ext.pipeline.animate.STAGES`.
    done, total: frames of the video; both 0 in a stage that has no frames.
    frames_per_s: since the stage began; 0 where unknown.
    left_s: seconds to the end of the stage at that speed; 0 where unknown.
    frame: (H, W, 3) uint8 RGB, the frame just finished, for a preview; None in a stage that has no frames.
    """

    stage: str
    done: int = 0
    total: int = 0
    frames_per_s: float = 0.0
    left_s: float = 0.0
    frame: Frame | None = None


Report = Callable[[Progress], None]
Stop = Callable[[], bool]


class Watcher:
    """Tells a face how far the work is, and stops it when the face says so.

    report: called at each stage and after each frame; a face that wants less looks at its clock.
    cancelled: asked just as often; when it answers True the work ends with :class:`Cancelled`.
    """

    def __init__(self, report: Report | None = None, cancelled: Stop | None = None) -> None:
        self._report = report or _ignore
        self._cancelled = cancelled or _never

    def stage(self, name: str) -> None:
        """A stage without frames begins."""
        self.check()
        self._report(Progress(name))

    def check(self) -> None:
        """Raise Cancelled if the face has asked to stop."""
        if self._cancelled():
            raise Cancelled("Stopped; nothing was kept")

    def watch(self, frames: Iterator[Frame], stage: str, total: int) -> Iterator[Frame]:
        """Pass every frame on; once the consumer has taken it and asks for more, it is done and reported."""
        self.stage(stage)
        began_s = time.perf_counter()
        for done, frame in enumerate(frames, start=1):
            yield frame
            self.check()
            rate = done / max(time.perf_counter() - began_s, 1e-9)
            self._report(Progress(stage, done, total, rate, (total - done) / rate, frame))


def _ignore(_: Progress) -> None: ...


def _never() -> bool:
    return False


class Restorer(Protocol):
    """Sharpens the face in every frame of one video."""

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """The frames, one for one and of the same size, with the face restored."""
        ...


_RESTORERS: dict[str, Callable[[], Restorer]] = {}


def register_restorer(name: str, opener: Callable[[], Restorer]) -> None:
    """Offer a face restorer under ``name``; ``opener`` loads it when a video asks for it. A later one replaces it."""
    _RESTORERS[name] = opener


def open_restorer(settings: Settings) -> Restorer | None:
    """The face restorer a person asked for, None for none; an unknown name is a SettingsError."""
    if settings.restore == NO_RESTORER:
        return None
    if settings.restore not in _RESTORERS:
        there = f"there are {', '.join(sorted(_RESTORERS))}" if _RESTORERS else "none is available here"
        raise SettingsError(f"There is no face restorer named {settings.restore!r}; {there}; use {NO_RESTORER}")
    return _RESTORERS[settings.restore]()
