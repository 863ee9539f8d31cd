"""Forge and reForge manage the graphics card's memory themselves: AUTOMATIC1111's functions do nothing there."""

from __future__ import annotations

import sys
from collections.abc import Callable

MANAGERS = ("backend.memory_management", "ldm_patched.modules.model_management")
"""Of Forge and of reForge; the host has loaded one of them, or none."""


def unloader() -> Callable[[], object] | None:
    """What takes all models of such a host off the card; it loads them again when it needs them. None elsewhere."""
    for name in MANAGERS:
        unload: Callable[[], object] | None = getattr(sys.modules.get(name), "unload_all_models", None)
        if unload is not None:
            return unload
    return None
