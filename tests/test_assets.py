"""The files that ship with the package: the demo portrait and the demo voice."""

import numpy as np
from PIL import Image

from sadtalker_ext.assets import demo_portrait, demo_voice


def test_the_demo_portrait_is_the_astronaut_of_scikit_image(astronaut):
    with Image.open(demo_portrait()) as picture:
        assert picture.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(picture), astronaut)


def test_the_origin_of_each_file_is_documented():
    documented = (demo_portrait().parent / "README.md").read_text("utf-8")
    for path in (demo_portrait(), demo_voice()):
        assert path.is_file()
        assert f"## {path.name}" in documented
