"""``sadtalker train prepare`` and ``practice``: talking clips for the SadTalker networks."""

from __future__ import annotations

from typing import Any


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse gives this type no public name
    """Add the commands that make data to those of ``train``."""
