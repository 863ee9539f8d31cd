"""The host's face restorers and upscalers in the place of ours, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sadtalker_ext.pipeline.restoration.registry import register_restorer, register_upscaler

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.geometry.portrait import Portrait

UPSCALE = "upscale: "
SCALE = 2


class FaceRestorer:
    """One of the host's face restorers, frame by frame."""

    def __init__(self, restorer: Any) -> None:  # noqa: ANN401 - the host's own type
        self._restorer = restorer

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """The frames, one for one and of the same size."""
        for frame in frames:
            yield np.asarray(self._restorer.restore(frame), np.uint8)


class Upscaler:
    """One of the host's upscalers, frame by frame; the video becomes twice as large."""

    def __init__(self, upscaler: Any) -> None:  # noqa: ANN401 - the host's own type
        self._upscaler = upscaler

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """The frames, one for one, every one twice as large."""
        from PIL import Image

        model = self._upscaler
        for frame in frames:
            enlarged = model.scaler.upscale(Image.fromarray(frame), SCALE, model.data_path)
            size = (frame.shape[1] * SCALE, frame.shape[0] * SCALE)
            yield np.asarray(enlarged.convert("RGB").resize(size), np.uint8)


def register_all(restorers: Iterable[Any], upscalers: Iterable[Any]) -> list[str]:
    """Offer them all; the names a person chooses a restorer from. Upscalers are also what ``upscale`` names."""
    names = []
    for restorer in restorers:
        names.append(name := str(restorer.name()))
        register_restorer(name, lambda restorer=restorer: FaceRestorer(restorer))  # type: ignore[misc]
    for upscaler in upscalers:
        if upscaler.name != "None":
            names.append(name := UPSCALE + str(upscaler.name))
            register_restorer(name, lambda upscaler=upscaler: Upscaler(upscaler))  # type: ignore[misc]
            register_upscaler(str(upscaler.name), lambda upscaler=upscaler: Upscaler(upscaler))  # type: ignore[misc]
    return names
