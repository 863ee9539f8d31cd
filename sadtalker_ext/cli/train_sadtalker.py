"""``sadtalker train`` for the networks of the SadTalker engine: each alone, or all of them one after another."""

from __future__ import annotations

from typing import Any


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse gives this type no public name
    """Add the SadTalker networks' recipes to those of ``train``."""
