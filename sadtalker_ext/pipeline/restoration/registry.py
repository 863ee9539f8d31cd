"""Face restorers and upscalers by name: the protocol, and those that a host registers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import tee
from typing import TYPE_CHECKING, Protocol

from sadtalker_ext.settings import NO_RESTORER

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

    Opener = Callable[[], "Restorer"]
    FileOpener = Callable[[str, str, list[str], Runtime], "Restorer"]


class Restorer(Protocol):
    """Sharpens the face in every frame of one video, or enlarges the frames."""

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """Yield one frame per input frame. Face restorers keep the size, upscalers multiply it."""
        ...


_RESTORERS: dict[str, Opener] = {}
_UPSCALERS: dict[str, Opener] = {}


def register_restorer(name: str, opener: Opener) -> None:
    """Register a face restorer; ``opener`` loads it when a video needs it. An earlier one of that name is replaced."""
    _RESTORERS[name] = opener


def register_upscaler(name: str, opener: Opener) -> None:
    """Register an upscaler of whole frames; ``opener`` loads it when a video needs it."""
    _UPSCALERS[name] = opener


class BlendedRestorer:
    """A face restorer whose result is blended with the rendered frame.

    strength: 0 (rendered frame) to 1 (restored frame).
    """

    def __init__(self, restorer: Restorer, strength: float) -> None:
        self._restorer, self._strength = restorer, strength

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """Yield the blended frames; a frame whose size the restorer changed is passed on unblended."""
        import cv2
        import numpy as np

        rendered, given = tee(frames)
        for frame, restored in zip(rendered, self._restorer.restore(given, portrait), strict=True):
            if restored.shape != frame.shape:
                yield restored
            else:
                yield np.asarray(cv2.addWeighted(restored, self._strength, frame, 1 - self._strength, 0), np.uint8)


def open_restorers(settings: Settings, runtime: Runtime, open_file: FileOpener) -> list[Restorer]:
    """Return the restorers that the settings ask for, in the order in which they run: upscaler, then face restorer.

    A registered name takes precedence over a file of that name, which ``open_file`` opens. SettingsError if there is
    neither.
    """
    restorers = []
    if settings.upscale != NO_RESTORER:
        restorers.append(_open(settings.upscale, "upscale", _UPSCALERS, runtime, open_file))
    if settings.restore != NO_RESTORER and settings.restore_strength > 0:
        restorer = _open(settings.restore, "restore", _RESTORERS, runtime, open_file)
        full = settings.restore_strength == 1
        restorers.append(restorer if full else BlendedRestorer(restorer, settings.restore_strength))
    return restorers


def _open(name: str, setting: str, registered: dict[str, Opener], runtime: Runtime, open_file: FileOpener) -> Restorer:
    if name in registered:
        return registered[name]()
    return open_file(name, setting, sorted(registered), runtime)
