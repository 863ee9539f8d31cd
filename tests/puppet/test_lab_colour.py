"""CIE L*a*b* of colours, compared with scikit-image."""

import numpy as np
from skimage.color import rgb2lab

from sadtalker_ext.puppet.lab_colour import lightness, rgb_to_lab


def colours() -> np.ndarray:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    picture[0] = np.linspace(0, 255, 64).astype(np.uint8)[:, None]
    picture[1] = np.arange(64, dtype=np.uint8)[:, None] // 4  # dark, where lightness is proportional to luminance
    return picture


def test_lightness_is_that_of_cie_lab():
    found = lightness(colours())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rgb2lab(colours())[..., 0], atol=2e-3)


def test_colours_are_those_of_cie_lab():
    found = rgb_to_lab(colours())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rgb2lab(colours()), atol=0.02)
