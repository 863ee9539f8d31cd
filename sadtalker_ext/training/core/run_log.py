"""Log of a training run: one CSV file and, if it is installed, TensorBoard."""

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
VALIDATION_PREFIX = "validation_"
"""Prefix of the names of validation metrics."""
_COLUMNS = ("step", "name", "value")


class RunLog:
    """Writer of rows (step, name, value) to ``losses.csv`` and of the same values as TensorBoard scalars.

    When a run is resumed, the rows of the steps that are repeated are removed.
    """

    def __init__(self, folder: Path, first: int, *, enabled: bool = True) -> None:
        """Open the log of the run in ``folder`` (exists); ``first`` is the first step of this session."""
        self.enabled = enabled
        self.path = folder / CSV_NAME
        self._tensorboard: Any = None
        if not enabled:
            return
        kept = [row for row in read_run_log(self.path) if row[0] < first]
        write_file(self.path, lambda part: _write_rows(part, kept))
        self._tensorboard = _open_tensorboard(folder, first)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one row per value and flush them to the file."""
        if not self.enabled:
            return
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows((step, name, value) for name, value in values.items())
        for name, value in values.items():
            if self._tensorboard is not None:
                self._tensorboard.add_scalar(name, value, step)
        log.info("step %d: %s", step, ", ".join(f"{name} {value:.4g}" for name, value in values.items()))

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tensorboard is not None:
            self._tensorboard.close()


def _write_rows(path: Path, rows: list[tuple[int, str, float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(rows)


def read_run_log(path: Path) -> list[tuple[int, str, float]]:
    """Return all rows (step, name, value) of a ``losses.csv``; an empty list if it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(file)]


def last_validation(folder: Path) -> dict[str, float]:
    """Return the newest validation metrics of the run in ``folder`` by name, without prefix; empty without any."""
    rows = [row for row in read_run_log(folder / CSV_NAME) if row[1].startswith(VALIDATION_PREFIX)]
    newest = max((step for step, _, _ in rows), default=0)
    return {name.removeprefix(VALIDATION_PREFIX): value for step, name, value in rows if step == newest}


def _open_tensorboard(folder: Path, first: int) -> Any:  # noqa: ANN401 - the type needs the optional package
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("TensorBoard is not installed; losses are written to %s only", CSV_NAME)
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first)
