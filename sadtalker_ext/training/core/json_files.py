"""JSON files that are written atomically, and the record of the options that a folder was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.system.atomic_output import write_text


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write indented JSON, atomically."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def read_record(path: Path) -> dict[str, Any]:
    """Return the JSON object that :func:`write_json` wrote; SettingsError if the file is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise SettingsError(f"The record {path} cannot be read ({e}). Delete it, or choose another folder.") from e
    if not isinstance(values, dict):
        raise SettingsError(f"The record {path} is not a JSON object. Delete it, or choose another folder.")
    return values


def check_options(path: Path, options: Mapping[str, Any]) -> None:
    """Store the options of a resumable command in the JSON file ``path``, or compare them with the stored ones.

    Values that JSON does not have (such as paths) are stored as text. Raises SettingsError if an option differs.
    """
    current: dict[str, Any] = json.loads(json.dumps(dict(options), default=str))
    stored = read_record(path) if path.exists() else current
    changed = [
        f"{name} was {stored.get(name)}, is {value}" for name, value in current.items() if value != stored.get(name)
    ]
    if changed:
        raise SettingsError(
            f"The folder {path.parent} was created with other options ({'; '.join(changed)}). Use the same options or "
            "another folder."
        )
    write_json(path, current)
