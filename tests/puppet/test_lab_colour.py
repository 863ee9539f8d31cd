"""Conversion to CIE L*a*b* against OpenCV's."""

import cv2
import numpy as np
import pytest

from sadtalker_ext.puppet.lab_colour import rgb_to_lab


def test_it_agrees_with_opencv():
    levels = np.random.default_rng(3).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    levels[:6, 0] = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)]
    expected = cv2.cvtColor(levels.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    assert np.abs(rgb_to_lab(levels) - expected).max() < 0.5  # OpenCV interpolates in a table
    in_bytes = cv2.cvtColor(levels, cv2.COLOR_RGB2LAB).astype(int)
    own = rgb_to_lab(levels) * np.float32([2.55, 1, 1]) + np.float32([0, 128, 128])
    assert np.abs(own - in_bytes).max() < 2.5


@pytest.mark.parametrize(
    ("levels", "lab"),
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0.0, 0.0)),
    ],
)
def test_it_gives_published_values_of_srgb_colours(levels, lab):
    assert np.allclose(rgb_to_lab(np.array([[levels]], np.uint8))[0, 0], lab, atol=0.02)
