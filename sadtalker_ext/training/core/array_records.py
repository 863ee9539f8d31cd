"""Records of arrays as files: one array per field, whole or absent."""

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
    """Write a dataclass of arrays; the file is whole or absent."""
    arrays = {field.name: getattr(record, field.name) for field in fields(record)}

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, **arrays)

    write_file(path, write)


def load_arrays(kind: type[Any], path: Path, complaint: str) -> dict[str, NDArray[Any]]:
    """The arrays of a file by ``kind``'s field names; a WeightsError "path complaint (why)" if it has not all."""
    try:
        with np.load(path) as arrays:
            return {field.name: arrays[field.name] for field in fields(kind)}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} {complaint} ({error}); remove it and build again") from error
