"""Compatibility of folders: AUTOMATIC1111 and Forge define them in ``paths_internal``, SD.Next in ``paths``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sadtalker_ext.webui.host_modules import find

MODELS: Final = "models"


def data_folder() -> Path:
    """Return the webui's folder of user data; the current folder, which is the webui's, if it defines none."""
    return Path(find("paths_internal", "data_path") or find("paths", "data_path") or "").resolve()


def models_folder() -> Path:
    """Return the webui's folder of models; ``models`` in the user data if it defines none."""
    found = find("paths_internal", "models_path") or find("paths", "models_path")
    return Path(found).resolve() if found else data_folder() / MODELS
