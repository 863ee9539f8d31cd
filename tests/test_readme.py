"""The README agrees with the program: commands, options, settings and limits.

Run this file as a program to write the table of settings into the README.
"""

import argparse
import ast
import re
import runpy
import shlex
from pathlib import Path

import pytest

from sadtalker_ext.cli.main import build_parser
from sadtalker_ext.cli.setting_flags import ALSO_PATH, FILE_SETTINGS, flag_of
from sadtalker_ext.constants import MAX_CLIP_S, MIN_CLIP_S
from sadtalker_ext.engines.registry import setting_specs
from sadtalker_ext.settings import Settings
from sadtalker_ext.video import decoded_picture

ROOT = Path(__file__).parents[1]
OPEN, CLOSE = "<!-- settings -->\n", "\n<!-- /settings -->"
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language=""):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for named, text in fenced if named == language]


def settings_table():
    """Return the table between the two markers in the README, generated from the settings."""
    rows = ["| option | values | default | description |", "|---|---|---|---|"]
    for spec in setting_specs():
        switch = isinstance(spec.default, bool)
        default = ("on" if spec.default else "off") if switch else "empty" if spec.default == "" else spec.default
        accepts = f"on; `{flag_of('no_' + spec.name)}` for off" if switch else spec.accepts
        text = f"{spec.help} {ALSO_PATH}" if spec.name in FILE_SETTINGS else spec.help
        rows.append(f"| `{flag_of(spec.name)}` | {accepts} | {default} | {text} |")
    return "\n".join(rows)


def test_settings_table_is_the_settings():
    assert README.partition(OPEN)[2].partition(CLOSE)[0] == settings_table(), "run: python tests/test_readme.py"


def test_exactly_two_commands_set_up():
    lines = [line for block in blocks() for line in block.splitlines() if "pip install" in line]
    assert lines == [
        'pip install -c constraints.txt -e ".[starter]" && sadtalker demo',
        'pip install -c constraints.txt -e ".[test]" && pytest',
    ]


def test_every_command_line_is_understood():
    """Each ``sadtalker ...`` line of the README is a line that the program accepts."""
    commands = [line for block in blocks() for line in block.splitlines() if line.startswith("sadtalker ")]
    lines = [shlex.split(line, comments=True) for line in commands]
    lines += [shlex.split(words) for words in re.findall(r"`(sadtalker (?:animate|demo|bench)[^`]*)`", README)]
    seen = set()
    for words in lines:
        if words[:1] == ["sadtalker"]:
            from sadtalker_ext.cli.setting_flags import join_negative, read_settings

            options = build_parser().parse_args(join_negative(words[1:]))
            seen.add(options.command)
            if hasattr(options, "settings_from"):
                options.settings_from = None
                read_settings(options)
    assert seen == {"animate", "demo", "faces", "show", "bench", "ui", "serve", "voices", "weights", "mesh"}


def test_every_flag_exists():
    known = set()
    for command in build_parser()._subparsers._group_actions[0].choices.values():
        known |= set(command._option_string_actions)
    runpy.run_path(str(ROOT / "preload.py"))["preload"](host := argparse.ArgumentParser())
    known |= {"--version", "--api", "--api-auth", "--auth", "--auth-file"} | set(host._option_string_actions)
    known |= runpy.run_path(str(ROOT / "install.py"))["SKIP_FLAGS"]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", README)) - known == set()


@pytest.mark.parametrize("source", blocks("python"))
def test_names_imported_by_the_examples_exist(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            module = __import__(node.module, fromlist=["*"])
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_limits_equal_the_constants():
    assert f"from {decoded_picture.MIN_SIDE_PX} to {decoded_picture.MAX_SIDE_PX} pixels" in README
    assert f"exceeds {Settings().resolution_limit} pixels is scaled down" in README
    assert f"from {MIN_CLIP_S} seconds to {MAX_CLIP_S / 3600:.0f} hours" in README


def test_linked_files_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_vocabulary_page_is_linked():
    assert "## Vocabulary" in (ROOT / "docs" / "architecture.md").read_text("utf-8")


if __name__ == "__main__":
    before, _, rest = README.partition(OPEN)
    (ROOT / "README.md").write_text(f"{before}{OPEN}{settings_table()}{CLOSE}{rest.partition(CLOSE)[2]}", "utf-8")
