"""Display names of files in error messages of the REST API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path


class SenderNames(Mapping[Path, str]):
    """Names of files as the sender of a request knows them; other files of the server are shown without their folder.

    names: display name by path; an empty one hides the name.
    """

    def __init__(self, names: Mapping[Path, str]) -> None:
        self._names = {path.resolve(): name for path, name in names.items()}

    def __getitem__(self, path: Path) -> str:
        return self._names.get(path.resolve(), path.name)

    def __iter__(self) -> Iterator[Path]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
