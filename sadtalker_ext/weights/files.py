"""Find checkpoints in an ordered list of folders; symbolic links are followed, misspelled names are reported."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from sadtalker_ext.errors import FileRef, WeightsError
from sadtalker_ext.weights.catalog import Checkpoint
from sadtalker_ext.weights.errors import MissingCheckpointError, checkpoint_error, place_to_put

FOLDER_VARIABLE = "SADTALKER_CHECKPOINTS"
LONGEST_NAME = 64
"""Characters of the longest name of a checkpoint, rounded up."""


def user_cache_folder() -> Path:
    """Return the default folder for downloaded checkpoints."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "sadtalker" / "checkpoints"


def search_folders(named: Iterable[Path] = (), host: Path | None = None) -> tuple[Path, ...]:
    """Return the folders to search, in order: ``named``, the environment variable, ``host``, the user cache.

    WeightsError for a chosen folder that the system cannot search.
    """
    variable = os.environ.get(FOLDER_VARIABLE, "")
    chosen = [*named, *(Path(part) for part in variable.split(os.pathsep) if part)]
    folders = [_searchable(Path(folder)) for folder in chosen]
    folders += [host] if host is not None else []
    return tuple(dict.fromkeys([*folders, user_cache_folder()]))


def _searchable(folder: Path) -> Path:
    """Return a folder with ``~`` expanded, which need not exist; WeightsError if its name cannot be used."""
    try:
        expanded = folder.expanduser()
        with suppress(FileNotFoundError, NotADirectoryError):
            os.stat(expanded / ("x" * LONGEST_NAME))
    except (OSError, RuntimeError, ValueError) as e:
        reason = getattr(e, "strerror", None) or e
        raise WeightsError(
            "The ", FileRef("folder", folder), f" cannot be searched for checkpoints ({reason}): correct --folder or "
            f"the environment variable {FOLDER_VARIABLE}",
        ) from e  # fmt: skip
    return expanded


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the first file called ``name``, or None; WeightsError if it is a broken symbolic link."""
    for folder in folders:
        path = folder / name
        if os.path.isfile(path):  # unlike Path.is_file, False for a path that the system cannot search
            return path
        if os.path.islink(path):
            target = os.readlink(path)
            raise checkpoint_error(path, f"is a link to {target}, which does not exist; repair or remove the link")
    return None


def find_checkpoint(entry: Checkpoint, folders: Sequence[Path]) -> Path | None:
    """Return the file of a checkpoint, or None; within a folder the converted file is preferred."""
    for folder in folders:
        for name in filter(None, (entry.converted, entry.name)):
            if found := find_file(name, [folder]):
                return found
    return None


def require_checkpoint(entry: Checkpoint, folders: Sequence[Path]) -> Path:
    """Return the file of a checkpoint; errors as in :func:`require_checkpoints`."""
    return require_checkpoints([entry], folders)[0]


def require_checkpoints(entries: Sequence[Checkpoint], folders: Sequence[Path]) -> list[Path]:
    """Return the files of checkpoints.

    MissingCheckpointError with all that are missing, the folders, and one command that fetches them; WeightsError for
    a file with a similar name.
    """
    found = [find_checkpoint(entry, folders) for entry in entries]
    missing = [entry for entry, path in zip(entries, found, strict=True) if path is None]
    if not missing:
        return [path for path in found if path is not None]
    for entry in missing:
        if similar := find_similar_name(entry.name, folders):
            raise WeightsError(
                f"The checkpoint {entry.name} is in the ", FileRef("folder", similar.parent),
                f" under the name {similar.name!r}; rename it to exactly {entry.name}",
            )  # fmt: skip
    searched = [part for folder in folders for part in (", ", FileRef("folder", folder))][1:]
    one, names = len(missing) == 1, " ".join(entry.name for entry in missing)
    listed = " and ".join(f"{entry.name} ({entry.purpose})" for entry in missing)
    raise MissingCheckpointError(
        f"The checkpoint{'' if one else 's'} {listed} {'was' if one else 'were'} not found in: ", *searched,
        f"; run: sadtalker weights fetch {names}, or put the file{'' if one else 's'} into {place_to_put(folders)}",
    )  # fmt: skip


def find_similar_name(name: str, folders: Sequence[Path]) -> Path | None:
    """Return a file whose name differs only in case, spaces, invisible characters or a suffix added by a browser."""
    target = _normalize_name(name)
    for folder in folders:
        if not os.path.isdir(folder):
            continue
        for path in sorted(folder.iterdir()):
            suffixes = ("", ".txt", ".zip", "(1)")
            if path.name != name and _normalize_name(path.name) in [target + suffix for suffix in suffixes]:
                return path
    return None


def _normalize_name(name: str) -> str:
    """Return ``name`` in lower case, without spaces, control and format characters."""
    kept = (letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter)[0] not in "CZ")
    return "".join(kept).lower()
