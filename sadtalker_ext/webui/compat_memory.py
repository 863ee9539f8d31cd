"""Compatibility of memory management: Forge and reForge manage GPU memory with functions of their own.

The functions of AUTOMATIC1111 that move the model do nothing in these hosts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

MEMORY_MANAGERS: Final = ("backend.memory_management", "ldm_patched.modules.model_management")
"""Modules of Forge and reForge; such a host has imported one of them before extensions load."""


def find_model_unloader() -> Callable[[], object] | None:
    """Return the host's function that unloads all models from the GPU, or None if the host has none.

    The host loads the models again when it needs them.
    """
    for name in MEMORY_MANAGERS:
        unload: Callable[[], object] | None = getattr(sys.modules.get(name), "unload_all_models", None)
        if unload is not None:
            return unload
    return None
