"""The diary of a training run: one CSV file and, where it is installed, TensorBoard."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from sadtalker_ext.system.atomic_output import write_file

log = logging.getLogger(__name__)

CSV_NAME = "losses.csv"
VALIDATION = "validation_"
"""What the names of held-out figures begin with."""
_COLUMNS = ("step", "name", "value")


class RunLog:
    """Rows (step, name, value) in ``losses.csv`` and the same figures as TensorBoard scalars.

    A resumed run drops the rows of steps that will be taken again.
    """

    def __init__(self, folder: Path, first: int, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self.path = folder / CSV_NAME
        self._board: Any = None
        if not enabled:
            return
        kept = [row for row in read_journal(self.path) if row[0] < first]
        write_file(self.path, lambda part: _write_rows(part, kept))
        self._board = _open_board(folder, first)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Append one row per figure; they are on disk when this returns."""
        if not self.enabled:
            return
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows((step, name, value) for name, value in figures.items())
        for name, value in figures.items():
            if self._board is not None:
                self._board.add_scalar(name, value, step)
        log.info("step %d: %s", step, ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._board is not None:
            self._board.close()


def _write_rows(path: Path, rows: list[tuple[int, str, float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(rows)


def read_journal(path: Path) -> list[tuple[int, str, float]]:
    """All rows (step, name, value) of a ``losses.csv``; none if it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(file)]


def last_figures(folder: Path) -> dict[str, float]:
    """The newest validation of the run in ``folder``, by the names of the recipe; empty where there is none."""
    rows = [row for row in read_journal(folder / CSV_NAME) if row[1].startswith(VALIDATION)]
    newest = max((step for step, _, _ in rows), default=0)
    return {name.removeprefix(VALIDATION): value for step, name, value in rows if step == newest}


def _open_board(folder: Path, first: int) -> Any:  # noqa: ANN401 - the writer's type needs the package
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("TensorBoard is not installed; the losses go to %s only", CSV_NAME)
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first)
