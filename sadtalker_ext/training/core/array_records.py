"""Files that store a dataclass of arrays, one array per field."""

from __future__ import annotations

import zipfile
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.system.atomic_output import write_file

if TYPE_CHECKING:
    from numpy.typing import NDArray


def save_arrays(record: Any, path: Path) -> None:  # noqa: ANN401 - any dataclass whose fields are arrays
    """Write a dataclass of arrays as an NPZ file, atomically."""
    arrays = {field.name: getattr(record, field.name) for field in fields(record)}

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, **arrays)

    write_file(path, write)


def load_arrays(kind: type[Any], path: Path, problem: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of an NPZ file by the field names of the dataclass ``kind``.

    problem: what is wrong if the file is unreadable or incomplete, such as "is not a portrait file". The WeightsError
    raised then begins with the path and this text.
    """
    try:
        with np.load(path) as arrays:
            return {field.name: arrays[field.name] for field in fields(kind)}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} {problem} ({error}); delete it and run the same command again") from error
