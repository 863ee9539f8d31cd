"""What happens to frames between the renderer and the file: restoring, watching. Every function is a generator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import tee
from typing import TYPE_CHECKING, Protocol

from sadtalker_ext.errors import Cancelled
from sadtalker_ext.settings import NO_RESTORER

if TYPE_CHECKING:
    from sadtalker_ext.engines.protocol import Frame
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.runtime import Runtime
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
    """Works over every frame of one video: sharpens the face, or makes the frames larger."""

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """The frames, one for one. Face restorers keep their size, upscalers multiply it."""
        ...


Opener = Callable[[], Restorer]
_RESTORERS: dict[str, Opener] = {}
_UPSCALERS: dict[str, Opener] = {}


def register_restorer(name: str, opener: Opener) -> None:
    """Offer a face restorer under ``name``; ``opener`` loads it when a video asks for it. A later one replaces it."""
    _RESTORERS[name] = opener


def register_upscaler(name: str, opener: Opener) -> None:
    """Offer an upscaler of whole frames, likewise."""
    _UPSCALERS[name] = opener


class BlendedRestorer:
    """A face restorer of which only a part, 0 to 1, is shown."""

    def __init__(self, restorer: Restorer, part: float) -> None:
        self._restorer, self._part = restorer, part

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """The frames, one for one; one that the restorer made larger is passed on as it is."""
        import cv2
        import numpy as np

        plain, given = tee(frames)
        for frame, restored in zip(plain, self._restorer.restore(given, portrait), strict=True):
            if restored.shape != frame.shape:
                yield restored
            else:
                yield np.asarray(cv2.addWeighted(restored, self._part, frame, 1 - self._part, 0), np.uint8)


def open_restorers(settings: Settings, runtime: Runtime) -> list[Restorer]:
    """What the person wants done to rendered frames, in order: enlarging, then restoring the face within.

    A registered name is taken before a file of that name; SettingsError where there is neither.
    """
    restorers = []
    if settings.upscale != NO_RESTORER:
        restorers.append(_open(settings.upscale, "upscale", _UPSCALERS, runtime))
    if settings.restore != NO_RESTORER and settings.restore_strength > 0:
        restorer = _open(settings.restore, "restore", _RESTORERS, runtime)
        whole = settings.restore_strength == 1
        restorers.append(restorer if whole else BlendedRestorer(restorer, settings.restore_strength))
    return restorers


def _open(name: str, wish: str, known: dict[str, Opener], runtime: Runtime) -> Restorer:
    if name in known:
        return known[name]()
    from sadtalker_ext.pipeline.restoration.files import open_file

    return open_file(name, wish, sorted(known), runtime)
