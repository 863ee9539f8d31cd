"""Adapters that make the host's face restorers and upscalers available by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.pipeline.restoration.registry import register_restorer, register_upscaler
from sadtalker_ext.webui.host_state import without_new_jobs

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.geometry.portrait import Portrait

UPSCALE: Final = "upscale: "
"""Prefix of the names under which upscalers are offered as restorers."""
SCALE: Final = 2


class HostFaceRestorer:
    """A face restorer of the host, applied frame by frame."""

    def __init__(self, restorer: Any) -> None:  # noqa: ANN401 - the host's own type
        self._restorer = restorer

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """Yield one frame of the same size per input frame."""
        for frame in frames:
            with without_new_jobs():
                restored = self._restorer.restore(frame)
            yield np.asarray(restored, np.uint8)


class HostUpscaler:
    """An upscaler of the host, applied frame by frame; it doubles width and height."""

    def __init__(self, upscaler: Any) -> None:  # noqa: ANN401 - the host's own type
        self._upscaler = upscaler

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """Yield one frame of twice the width and height per input frame."""
        from PIL import Image

        model = self._upscaler
        for frame in frames:
            with without_new_jobs():
                enlarged = model.scaler.upscale(Image.fromarray(frame), SCALE, model.data_path)
            size = (frame.shape[1] * SCALE, frame.shape[0] * SCALE)
            yield np.asarray(enlarged.convert("RGB").resize(size), np.uint8)


def register_host_restorers(restorers: Iterable[Any], upscalers: Iterable[Any]) -> list[str]:
    """Register the host's restorers and upscalers; return the names for the setting ``restore``.

    Upscalers are also registered for the setting ``upscale``.
    """
    names = []
    for restorer in restorers:
        names.append(name := str(restorer.name()))
        register_restorer(name, lambda restorer=restorer: HostFaceRestorer(restorer))  # type: ignore[misc]
    for upscaler in upscalers:
        if upscaler.name != "None":
            names.append(name := UPSCALE + str(upscaler.name))
            register_restorer(name, lambda upscaler=upscaler: HostUpscaler(upscaler))  # type: ignore[misc]
            register_upscaler(str(upscaler.name), lambda upscaler=upscaler: HostUpscaler(upscaler))  # type: ignore[misc]
    return names


def upscaler_names(upscalers: Iterable[Any]) -> list[str]:
    """Return the names of the host's upscalers for the setting ``upscale``."""
    return [str(upscaler.name) for upscaler in upscalers if upscaler.name != "None"]
