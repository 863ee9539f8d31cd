"""Words and flags of the commands that read files, and environment variables with folders."""

import argparse
import shutil

import pytest
from fuzz_cases import property_of
from fuzz_values import texts
from hypothesis import strategies as st
from test_fuzz_settings import passable

from sadtalker_ext.cli.main import build_parser
from sadtalker_ext.weights.files import FOLDER_VARIABLE

COMMANDS = (
    "mesh", "show", "faces", "evaluate", "weights list", "weights check", "voices", "train check",
    "train export",
)  # fmt: skip
"""Commands that end soon, and that write only where a flag of :data:`WRITTEN` says."""
WRITTEN = ("--output", "--draw", "--keep", "--blendshapes", "--shaded", "--mesh", "--out")
ENDLESS = ("--help", "--say", "--idle", "--render", "--lips", "--json")
"""Flags that start long work, or that print errors as JSON."""
INPUTS = ("portrait.png", "broken.mp4", "broken.safetensors", "sub", "absent.wav", "-", ".", "sub/none.png")


def find_parser(command):
    """Return the parser of a command such as ``weights list``."""
    parser = build_parser()
    for word in command.split():
        action = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = action.choices[word]
    return parser


def flags_of(command):
    actions = [action for action in find_parser(command)._actions if action.option_strings]
    return {action.option_strings[-1]: action.nargs == 0 for action in actions}


FLAGS = {command: flags_of(command) for command in COMMANDS}
words = st.sampled_from(INPUTS) | texts.filter(passable).filter(lambda text: not text.startswith(("/", "~", "-")))
outputs = st.sampled_from(["out", "out.mp4", "out.glb", "out.json", "out.csv", "new/out.png", "portrait.png", "sub"])


@st.composite
def lines(draw):
    """Return the words of a command line; a video is never made, because its voice does not exist."""
    command = draw(st.sampled_from(COMMANDS))
    inputs = ["portrait.png", "absent.wav"] if command == "mesh" else draw(st.lists(words, max_size=2))
    line = [*command.split(), *inputs]
    for flag in draw(st.lists(st.sampled_from([flag for flag in FLAGS[command] if flag not in ENDLESS]), max_size=3)):
        value = draw(outputs if flag in WRITTEN else words)
        line += [flag] if FLAGS[command][flag] else [f"{flag}={value}"]
    if command == "train export":
        line.append("--output=out")
    return line


@pytest.fixture
def files(place):
    """Damaged files and a folder; removed afterwards, with whatever the commands wrote."""
    kept = {path for path, _ in place.entries()}
    place.write("broken.mp4", b"\0\0\0\x18ftypmp42" + bytes(40))
    place.write("broken.safetensors", (1 << 40).to_bytes(8, "little") + b"{}")
    (place.folder / "sub").mkdir(exist_ok=True)
    yield kept | {path for path, _ in place.entries()}
    for path, _ in place.entries():
        if path not in kept and path.exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@property_of(5, line=lines())
def test_command_lines(place, files, line):
    """Each ends with code 0, or with 2 and one sentence; inputs stay as they are."""
    portrait = (place.folder / "portrait.png").read_bytes()
    place.run(*line)
    assert (place.folder / "portrait.png").read_bytes() == portrait
    for path, _ in place.entries():
        if path not in files and path.exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@property_of(1, folder=texts.filter(passable), cache=texts.filter(passable))
def test_folders_in_environment_variables(place, folder, cache):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, folder)
        patch.setenv("XDG_CACHE_HOME", cache)
        place.run("weights", "list")
        place.run("weights", "check", "--quick")
