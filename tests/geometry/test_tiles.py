"""Tiles cover a picture once and see around themselves."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from sadtalker_ext.geometry.tiles import tiles


@pytest.mark.parametrize("size", [(1, 1), (47, 48), (48, 49), (100, 333)])
def test_every_pixel_is_kept_once(size):
    counted = np.zeros(size, int)
    for tile in tiles(*size, 48, 5):
        counted[tile.kept] += 1
        seen = np.zeros(size, int)
        seen[tile.seen] = 1
        assert seen[tile.seen][tile.inner].shape == counted[tile.kept].shape
        assert max(seen[tile.seen].shape) <= 48 + 10
    assert np.all(counted == 1)


def test_a_local_network_gives_the_same_in_tiles():
    """A filter that sees 5 pixels far, in tiles that see 5 pixels around them; enlarged three times."""
    picture = np.random.default_rng(0).uniform(0, 255, (90, 131))

    def enlarge(part):
        return uniform_filter(part, 11, mode="constant").repeat(3, axis=0).repeat(3, axis=1)

    result = np.zeros((270, 393))
    for tile in tiles(90, 131, 40, 5):
        larger = tile.enlarged(3)
        result[larger.kept] = enlarge(picture[tile.seen])[larger.inner]
    assert np.allclose(result, enlarge(picture))
