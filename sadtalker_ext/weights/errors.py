"""Errors about checkpoint files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sadtalker_ext.errors import FileRef, WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class MissingCheckpointError(WeightsError):
    """No file has the name of the checkpoint."""


def checkpoint_error(path: Path, problem: str) -> WeightsError:
    """Return the error "The checkpoint PATH problem"; ``problem`` also says what to do."""
    return WeightsError("The ", FileRef("checkpoint", path), f" {problem}")


def place_to_put(folders: Sequence[Path]) -> str:
    """Return the words of a remedy for the folders that a message has listed."""
    return "that folder" if len(folders) == 1 else "one of them"
