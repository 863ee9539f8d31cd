"""Names of output files, and whole runs with settings that are accepted."""

import os
from pathlib import Path

import numpy as np
import pytest
from fuzz_cases import check_message, property_of, time_limit
from fuzz_values import SPECS, accepted, as_json, texts
from hypothesis import strategies as st
from test_fuzz_settings import passable

from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.pipeline.output import check_output, output_folder
from sadtalker_ext.video.read import probe
from sadtalker_ext.video.write import VideoSpec, write_video

RENDERED = {
    name: accepted(spec)
    for name, spec in SPECS.items()
    if spec.supported_by("starter") and name not in ("engine", "restore", "upscale", "tts_voice")
}
"""Settings of the starter engine that name no further file."""
name_parts = st.one_of(
    texts.filter(passable),
    st.sampled_from(
        ["out", "a b", "-me", "日本" * 30, "é" * 120, "x" * 251, "x" * 252, "CON", "nul.mp4", ".", "..", "~"]
    ),
    st.binary(min_size=1, max_size=6).filter(lambda name: b"\0" not in name).map(os.fsdecode),
)
endings = st.sampled_from([".mp4", ".mp4", ".mp4", ".MP4", "", "/", ".mov", ".mp4/", ".mp4 ", ".mp4."])


@st.composite
def output_names(draw):
    """Return a name below the folder of the test; names that lead elsewhere would let the tests write there."""
    name = "/".join(draw(st.lists(name_parts, min_size=1, max_size=2))) + draw(endings)
    return "out" if name.startswith(("/", "~")) or ".." in name.split("/") else name


@pytest.fixture
def frames():
    return [np.full((64, 64, 3), level, np.uint8) for level in (40, 90)]


def write(name, frames):
    path = Path(name)
    check_output(path, ())
    with output_folder(path):
        write_video(frames, path, VideoSpec())
    return path


@property_of(2, name=output_names())
def test_names_are_written_or_refused(place, frames, name):
    """The video has exactly this name; a refused name leaves no file and no folder."""
    before = place.entries()
    path = read_or_none(name, frames)
    if path is None:
        assert place.entries() == before
        return
    assert probe(path).width_px == 64
    made = sorted((made for made, _ in place.entries() - before), reverse=True)
    assert [made for made in made if made.is_file()] == [path.resolve()]
    for entry in made:
        entry.rmdir() if entry.is_dir() else entry.unlink()


def read_or_none(name, frames):
    with time_limit():
        try:
            return write(name, frames)
        except SadTalkerError as error:
            check_message(str(error))
            return None


@property_of(1, name=output_names())
def test_names_on_the_command_line(place, name):
    code, _ = place.run("animate", "portrait.png", "absent.wav", "--quiet", "-o", name)
    assert code == 2


@property_of(
    2, chosen=st.fixed_dictionaries({}, optional=RENDERED), idle_s=st.sampled_from(["0.2", "0.24", "0.3", "0.1"])
)
def test_accepted_settings_make_a_video(place, chosen, idle_s):
    """Otherwise a sentence gives the reason, for example a face that the picture does not have."""
    settings = place.write("settings.json", as_json(chosen))
    path = place.folder / "out.mp4"
    code, _ = place.run("animate", "portrait.png", "--idle", idle_s, "--quiet", "-o", path, "--settings-from", settings)
    assert path.exists() == (code == 0)
    if code == 0:
        assert probe(path).has_video
        path.unlink()
    settings.unlink()
