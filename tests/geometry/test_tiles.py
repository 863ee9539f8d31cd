"""Tiles cover a picture once and include their surroundings."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from sadtalker_ext.geometry.tiles import split_into_tiles


@pytest.mark.parametrize("size", [(1, 1), (47, 48), (48, 49), (100, 333)])
def test_every_pixel_is_covered_once(size):
    counted = np.zeros(size, int)
    for tile in split_into_tiles(*size, 48, 5):
        counted[tile.target] += 1
        seen = np.zeros(size, int)
        seen[tile.source] = 1
        assert seen[tile.source][tile.inner].shape == counted[tile.target].shape
        assert max(seen[tile.source].shape) <= 48 + 10
    assert np.all(counted == 1)


def test_local_operation_gives_the_same_result_in_tiles():
    """A filter with a radius of 5 pixels, in tiles with a margin of 5 pixels, upscaled three times."""
    picture = np.random.default_rng(0).uniform(0, 255, (90, 131))

    def enlarge(part):
        return uniform_filter(part, 11, mode="constant").repeat(3, axis=0).repeat(3, axis=1)

    result = np.zeros((270, 393))
    for tile in split_into_tiles(90, 131, 40, 5):
        larger = tile.scaled(3)
        result[larger.target] = enlarge(picture[tile.source])[larger.inner]
    assert np.allclose(result, enlarge(picture))
