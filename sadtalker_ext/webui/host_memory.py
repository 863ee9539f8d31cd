"""Compatibility of memory management: each webui has different functions that move its image model off the GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from sadtalker_ext.webui.host_modules import find

MEMORY_MANAGERS: Final = ("backend.memory_management", "ldm_patched.modules.model_management")
"""Modules of Forge and reForge, which have loaded one of them before extensions; AUTOMATIC1111's functions do nothing
there."""


@contextmanager
def image_model_unloaded(requested: bool) -> Iterator[None]:
    """Keep the image model off the GPU for the block, if requested and if a model is loaded."""
    reload = unload_image_model() if requested else None
    try:
        yield
    finally:
        if reload is not None:
            reload()


def unload_image_model() -> Callable[[], object] | None:
    """Move the image model off the GPU; return a function that moves it back, or None if that is not needed."""
    if (unload := find_model_unloader()) is not None:
        unload()
        return None
    model = find("sd_models", "model_data.sd_model")
    if model is None:
        return None
    to_cpu, to_device = find("sd_models", "send_model_to_cpu"), find("sd_models", "send_model_to_device")
    if to_cpu is not None and to_device is not None:
        to_cpu(model)
        return partial(to_device, model)
    move, device = find("sd_models", "move_model"), find("devices", "device")  # SD.Next
    if move is not None and device is not None:
        move(model, find("devices", "cpu"))
        return partial(move, model, device)
    return None


def find_model_unloader() -> Callable[[], object] | None:
    """Return the webui's function that unloads all models from the GPU, or None if it has none.

    The webui loads the models again when it needs them.
    """
    for name in MEMORY_MANAGERS:
        unload: Callable[[], object] | None = getattr(sys.modules.get(name), "unload_all_models", None)
        if unload is not None:
            return unload
    return None
