"""Command ``sadtalker train``: creates and checks training data and trains the networks of both engines."""

from __future__ import annotations

from typing import Any

from sadtalker_ext.cli import train_check, train_data, train_renderer, train_sadtalker, train_starter

RECIPE_MODULES = (train_data, train_check, train_renderer, train_sadtalker, train_starter)


def add_command(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for this type
    """Add ``train`` with all recipes to the commands of the program."""
    train = commands.add_parser(
        "train", help="create training data and train networks", allow_abbrev=False,
        description="Create training data and train the networks of both engines.",
    )  # fmt: skip
    train.set_defaults(when_stopped="stopped; repeat the command to resume the run")
    recipes = train.add_subparsers(dest="recipe", metavar="RECIPE", required=True)
    for module in RECIPE_MODULES:
        module.add_recipes(recipes)
