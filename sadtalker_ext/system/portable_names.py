"""File names that Windows does not allow, on its own disks and on memory cards and USB disks (NTFS, exFAT, FAT32).

Microsoft, "Naming Files, Paths, and Namespaces": device names are reserved in every folder and with any extension.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

WINDOWS: Final = os.name == "nt"
WINDOWS_DEVICE: Final = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³])[ .]*(\..*)?", re.IGNORECASE
)
NETWORK_PATHS: Final = ("//", "\\\\", "/\\", "\\/")
"""Starts of network paths of Windows, which connects to the machine that they name as soon as they are resolved."""
_NOT_ALLOWED: Final = re.compile(r'[<>:"|?*\\/\x00-\x1f]')


def windows_problem(name: str) -> str:
    """Return why Windows does not allow a file name, as the end of a sentence; empty if it does."""
    if WINDOWS_DEVICE.fullmatch(name):
        return f"{name.partition('.')[0].strip()} is the name of a device in Windows"
    found = _NOT_ALLOWED.search(name)
    if found:
        return f"Windows does not allow {ascii(found[0])[1:-1]} in names"
    return "Windows does not allow names that end in a dot or a space" if name.endswith((".", " ")) else ""


def path_problem(path: Path, windows: bool = WINDOWS) -> str:
    """Return why a path cannot be used on this system because of a name in it; empty if it can."""
    if not windows:
        return ""
    names = path.parts[1:] if path.anchor else path.parts
    return next(filter(None, (windows_problem(name) for name in names if name not in (".", ".."))), "")


def portable_stem(stem: str) -> str:
    """Return a stem for the name of a result that Windows allows, with as few changes as possible; it may be empty."""
    changed = _NOT_ALLOWED.sub("_", stem).rstrip(". ")
    return f"_{changed}" if WINDOWS_DEVICE.fullmatch(changed) else changed
