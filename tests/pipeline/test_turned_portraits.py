"""A portrait that is sideways or upside down gives the video of the upright one, turned."""

from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext import Inputs, Settings, render_frames
from sadtalker_ext.pipeline.portrait import read_portrait

SETTINGS = Settings(frame_rate=10, resolution_limit=256)


def frames_of(path):
    with closing(render_frames(Inputs(path, idle_s=3.0), SETTINGS)) as stream:
        return np.stack(list(stream)).astype(np.float32)


@pytest.fixture(scope="module")
def upright(astronaut, tmp_path_factory):
    path = tmp_path_factory.mktemp("upright") / "portrait.png"
    Image.fromarray(astronaut[20:276, 90:330]).save(path)
    return path


@pytest.fixture(scope="module")
def expected(upright):
    return frames_of(upright)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_video_of_a_turned_portrait_is_the_turned_video(upright, expected, tmp_path, turns):
    path = tmp_path / "turned.png"
    Image.fromarray(np.rot90(np.asarray(Image.open(upright)), turns)).save(path)
    prepared = read_portrait(path, SETTINGS)
    assert prepared.quarter_turns == -turns % 4
    assert prepared.portrait.picture.shape == (256, 240, 3)
    frames = np.rot90(frames_of(path), -turns, axes=(1, 2))
    assert frames.shape == expected.shape
    assert np.abs(np.diff(expected, axis=0)).max() > 50, "eyes and head move"
    assert np.abs(frames - expected).mean() < 1.0
