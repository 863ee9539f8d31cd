"""Help texts of all commands: complete phrases of plain English in one style."""

import argparse
import re

from sadtalker_ext.cli.main import build_parser

MIN_WORDS = 3
START = re.compile(r"[a-z]|--[a-z]|\w+\.\w+")
"""A help text starts with a lower-case letter, a flag or a file name."""
AVOIDED = ("told", "wished", "worked at", "the numbers stay", "of its own", "takes after", "take after")


def parsers(parser, name="sadtalker"):
    """Yield the name and parser of every command, and of the commands below it."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, child in action.choices.items():
                yield from parsers(child, f"{name} {command}")


def help_texts():
    """Yield a name and the help text of every flag, argument and command."""
    for name, parser in parsers(build_parser()):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for choice in action._choices_actions:
                    yield f"{name} {choice.dest}", choice.help
            else:
                yield f"{name} {'/'.join(action.option_strings) or action.dest}", action.help


def problem(text):
    """Return what is wrong with a help text; empty if nothing is."""
    if not text or len(text.split()) < MIN_WORDS:
        return "shorter than three words"
    if not START.match(text):
        return "does not start with a lower-case letter"
    return ", ".join(f"contains {phrase!r}" for phrase in AVOIDED if re.search(rf"\b{phrase}\b", text.lower()))


def test_help_texts_are_complete_phrases():
    assert [f"{name}: {problem(text)}: {text}" for name, text in help_texts() if problem(text)] == []


def test_every_command_has_a_description():
    descriptions = {name: parser.description or "" for name, parser in parsers(build_parser())}
    assert [name for name, text in descriptions.items() if not text[:1].isupper() or not text.endswith(".")] == []
    assert [name for name, text in descriptions.items() if any(phrase in text for phrase in AVOIDED)] == []


def test_walk_finds_the_flags_of_nested_commands():
    names = [name for name, _ in help_texts()]
    assert "sadtalker animate --yaw" in names
    assert "sadtalker train" in names
    assert any(re.fullmatch(r"sadtalker train \w+ (-o/)?--\w+", name) for name in names)


def test_short_and_wrongly_started_texts_are_found():
    assert problem("output folder") == "shorter than three words"
    assert problem(None) == "shorter than three words"
    assert problem("Output folder of the videos") == "does not start with a lower-case letter"
    assert problem("a folder of its own") == "contains 'of its own'"
    assert problem("--render makes videos") == problem("gfpgan.pth or another file") == ""
