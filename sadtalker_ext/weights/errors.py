"""Errors about checkpoint files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sadtalker_ext.errors import FileRef, WeightsError

if TYPE_CHECKING:
    from pathlib import Path


def checkpoint_error(path: Path, problem: str) -> WeightsError:
    """Return the error "The checkpoint PATH problem"; ``problem`` also says what to do."""
    return WeightsError("The ", FileRef("checkpoint", path), f" {problem}")
