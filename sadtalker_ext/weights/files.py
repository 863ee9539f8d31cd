"""Finding checkpoints on this machine: ordered folders, links followed, look-alike names pointed out."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.catalog import Checkpoint

FOLDER_VARIABLE = "SADTALKER_CHECKPOINTS"


def user_cache_folder() -> Path:
    """Where fetched checkpoints go when no other folder is named."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "sadtalker" / "checkpoints"


def search_folders(named: Iterable[Path] = (), host: Path | None = None) -> tuple[Path, ...]:
    """Folders to look in, first match wins: named by the user, the environment's, the host's, the user cache."""
    folders = [Path(folder).expanduser() for folder in named]
    if variable := os.environ.get(FOLDER_VARIABLE):
        folders += [Path(part).expanduser() for part in variable.split(os.pathsep) if part]
    folders += [host] if host is not None else []
    return tuple(dict.fromkeys([*folders, user_cache_folder()]))


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """The first file of that name; symbolic links are followed, a broken one is named as such."""
    for folder in folders:
        path = folder / name
        if path.is_file():
            return path
        if path.is_symlink():
            target = os.readlink(path)
            raise WeightsError(f"{path} is a link to {target}, which is not there; repair or remove the link")
    return None


def find_checkpoint(entry: Checkpoint, folders: Sequence[Path]) -> Path | None:
    """The file of a checkpoint, the safe one made of it preferred where both lie in one folder."""
    for folder in folders:
        for name in filter(None, (entry.converted, entry.name)):
            if found := find_file(name, [folder]):
                return found
    return None


def require_checkpoint(entry: Checkpoint, folders: Sequence[Path]) -> Path:
    """As :func:`find_checkpoint`; a WeightsError says where was looked and how to get the file."""
    if found := find_checkpoint(entry, folders):
        return found
    if alike := find_look_alike(entry.name, folders):
        raise WeightsError(
            f"The checkpoint {entry.name} lies in {alike.parent} under the name {alike.name!r}; "
            f"rename it to exactly {entry.name}"
        )
    places = ", ".join(str(folder) for folder in folders)
    raise WeightsError(
        f"The checkpoint {entry.name} ({entry.purpose}) is in none of: {places}; "
        f"run: sadtalker weights fetch {entry.name}, or put the file into one of these folders"
    )


def find_look_alike(name: str, folders: Sequence[Path]) -> Path | None:
    """A file whose name differs only by case, blanks, invisible characters or the ending a browser added."""
    wanted = _bare(name)
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if path.name != name and _bare(path.name) in (wanted, wanted + ".txt", wanted + ".zip", wanted + "(1)"):
                return path
    return None


def _bare(name: str) -> str:
    """Name in lower case, without blanks, control and format characters."""
    kept = (letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter)[0] not in "CZ")
    return "".join(kept).lower()
