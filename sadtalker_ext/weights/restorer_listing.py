"""List the files of face restorers and upscalers, without reading them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sadtalker_ext.weights.catalog import CATALOG

SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".ckpt")


def restorer_files(folders: Sequence[Path]) -> list[Path]:
    """List the files in ``folders`` that have a checkpoint's extension and are not in the catalog."""
    known = {name for entry in CATALOG for name in (entry.name, entry.converted)}
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and path.name not in known and path.is_file()
    ]
