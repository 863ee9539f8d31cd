"""``sadtalker train``: make the networks of both engines; each kind of recipe has its own file."""

from __future__ import annotations

from typing import Any

from sadtalker_ext.cli import train_data, train_renderer, train_sadtalker, train_starter

RECIPES = (train_data, train_renderer, train_sadtalker, train_starter)


def add_command(commands: Any) -> None:  # noqa: ANN401 - argparse gives this type no public name
    """Add ``train`` and its recipes to the program's commands."""
    train = commands.add_parser("train", help="make data and networks anew", allow_abbrev=False)
    recipes = train.add_subparsers(dest="recipe", metavar="RECIPE", required=True)
    for module in RECIPES:
        module.add_recipes(recipes)
