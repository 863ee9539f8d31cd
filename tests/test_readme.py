"""The README says what is true: its commands, flags, settings and limits are those of the program."""

import argparse
import ast
import re
import runpy
from pathlib import Path

import pytest

from sadtalker_ext.audio import speech
from sadtalker_ext.cli.main import build_parser
from sadtalker_ext.cli.setting_flags import flag_of
from sadtalker_ext.settings import Settings
from sadtalker_ext.video import picture

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language=""):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for named, text in fenced if named == language]


def settings_table():
    """The table between the README's two marks, made from the settings."""
    rows = ["| flag | values | default | what it does |", "|---|---|---|---|"]
    for knob in Settings.specs():
        switch = isinstance(knob.default, bool)
        default = ("on" if knob.default else "off") if switch else "empty" if knob.default == "" else knob.default
        accepts = f"on, or off by `--no-{knob.name}`" if switch else knob.accepts
        rows.append(f"| `{flag_of(knob.name)}` | {accepts} | {default} | {knob.help} |")
    return "\n".join(rows)


def test_settings_table_is_the_settings():
    table = README.partition("<!-- settings -->\n")[2].partition("\n<!-- /settings -->")[0]
    assert table == settings_table(), f"put this between the marks:\n{settings_table()}"


def test_exactly_two_commands_set_up():
    lines = [line for block in blocks() for line in block.splitlines() if "pip install" in line]
    assert lines == [
        'pip install -c constraints.txt -e ".[starter]" && sadtalker demo',
        'pip install -c constraints.txt -e ".[test]" && pytest',
    ]


def test_every_command_line_is_understood():
    """Each ``sadtalker ...`` line of the README is a line that the program accepts."""
    lines = [line.partition(" #")[0].split() for block in blocks() for line in block.splitlines()]
    lines += [words.split() for words in re.findall(r"`(sadtalker (?:animate|demo|bench)[^`]*)`", README)]
    seen = set()
    for words in lines:
        if words[:1] == ["sadtalker"]:
            from sadtalker_ext.cli.setting_flags import join_negative, settings_of

            options = build_parser().parse_args(join_negative(words[1:]))
            seen.add(options.command)
            if hasattr(options, "settings_from"):
                options.settings_from = None
                settings_of(options)
    assert seen == {"animate", "demo", "faces", "show", "bench", "ui", "serve", "weights"}


def test_every_flag_exists():
    known = set()
    for command in build_parser()._subparsers._group_actions[0].choices.values():
        known |= set(command._option_string_actions)
    runpy.run_path(str(ROOT / "preload.py"))["preload"](host := argparse.ArgumentParser())
    known |= {"--version", "--api", "--api-auth"} | set(host._option_string_actions)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - known == set()


@pytest.mark.parametrize("source", blocks("python"))
def test_python_examples_use_what_there_is(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            module = __import__(node.module, fromlist=["*"])
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_limits_are_the_limits():
    assert f"from {picture.SMALLEST_PX} to {picture.LARGEST_PX} pixels" in README
    assert f"worked at {Settings().resolution_limit} (" in README
    assert f"from {speech.SHORTEST_S} seconds to {speech.LONGEST_S / 3600:.0f} hours" in README


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
