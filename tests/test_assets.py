"""The files that ship with the package: the demo portrait and the demo voice."""

import numpy as np
from PIL import Image

from sadtalker_ext.assets import demo_portrait, demo_voice, example_voice
from sadtalker_ext.audio.speech import open_speech


def test_the_demo_portrait_is_the_astronaut_of_scikit_image(astronaut):
    with Image.open(demo_portrait()) as picture:
        assert picture.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(picture), astronaut)


def test_the_origin_of_each_file_is_documented():
    documented = (demo_portrait().parent / "README.md").read_text("utf-8")
    for path in (demo_portrait(), demo_voice(), example_voice()):
        assert path.is_file()
        assert f"## {path.name}" in documented


def test_the_voice_of_the_example_is_the_start_of_the_demo_voice():
    voice, example = (open_speech(path).samples() for path in (demo_voice(), example_voice()))
    assert 3.5 < len(example) / 16000 < 4.5
    np.testing.assert_allclose(example[:60_000], voice[:60_000], atol=1e-4)
