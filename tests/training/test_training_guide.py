"""The training guide: its commands and flags are accepted by the program, and every help text is a full phrase."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

import sadtalker_ext
from sadtalker_ext.cli.main import build_parser
from sadtalker_ext.cli.setting_flags import join_negative

GUIDE = (Path(sadtalker_ext.__file__).parent / "training" / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
COMMANDS = [line.partition(" #")[0].strip() for block in BLOCKS for line in block.splitlines()]


def subcommands(parser):
    return next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))


RECIPES = subcommands(subcommands(build_parser())["train"])


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_accepted(command):
    program, *words = command.split()
    assert program == "sadtalker"
    assert build_parser().parse_args(join_negative(words)).command == words[0]


def test_every_recipe_is_described():
    described = {command.split()[2] for command in COMMANDS if command.startswith("sadtalker train")}
    assert described == set(RECIPES)


def test_flags_exist():
    known = {flag for recipe in RECIPES.values() for flag in recipe._option_string_actions}
    known |= set(subcommands(build_parser())["animate"]._option_string_actions)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", GUIDE)) - known == set()


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_help_texts_are_phrases(name):
    help_texts = {action.dest: action.help for action in RECIPES[name]._actions if action.dest != "help"}
    assert {dest: text for dest, text in help_texts.items() if not text or len(text.split()) < 3} == {}
    assert RECIPES[name].format_help()
