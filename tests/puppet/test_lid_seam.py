"""The line of closed lids: it has the colours of skin, is thicker on the outside, and ends at the outer corner."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.puppet.eyelids import LidGeometry, Lids
from sadtalker_ext.puppet.lash_line import LashLine
from sadtalker_ext.puppet.lid_seam import recolour_seam
from sadtalker_ext.puppet.outer_corner import outer_cover

SKIN = np.array([200.0, 150.0, 120.0])
HALF_PX = 40.0


@pytest.mark.parametrize("eyeball", [(90.0, 110.0, 180.0), (235.0, 235.0, 240.0), (20.0, 20.0, 60.0)])
def test_a_strip_of_the_eyeball_gets_the_hue_of_skin_and_is_no_lighter(eyeball):
    levels = np.broadcast_to(np.array(eyeball), (1, 1, 3))
    found = recolour_seam(levels, np.broadcast_to(SKIN, (1, 1, 3)), _place(0.2, 0.05), 1.0, np)[0, 0]
    np.testing.assert_allclose(found / found.sum(), SKIN / SKIN.sum(), atol=1e-9)
    assert found.sum() == pytest.approx(min(sum(eyeball), SKIN.sum()))


@pytest.mark.parametrize(("u", "distance", "blink"), [(0, 0.05, 0), (0, 0.3, 1), (0, -0.2, 1), (1.1, 0, 1)])
def test_open_eyes_and_skin_away_from_the_seam_keep_their_colours(u, distance, blink):
    levels = np.full((1, 1, 3), (90.0, 110.0, 180.0))
    found = recolour_seam(levels, np.broadcast_to(SKIN, (1, 1, 3)), _place(u, distance), blink, np)
    np.testing.assert_array_equal(found, levels)


def test_the_lash_line_is_thicker_outside_unless_the_corners_are_alike():
    outward = np.array([[-0.6, 0.6]])
    darkened = [_darkened_px(where) for where in (outward, None)]
    assert darkened[0][1] > 1.4 * darkened[0][0]
    assert darkened[1][0] == pytest.approx(darkened[1][1])


def test_skin_covers_the_end_of_the_line_only_beyond_the_corner():
    line = np.zeros((1, 2))
    lids = Lids(line - 6.0, line - 6.0, line, line)
    inside, beyond = outer_cover(line, lids, np.array([[0.5, 1.1]]), HALF_PX, np)[0]
    assert inside == 0.0
    assert beyond > 0.6


def _place(u: float, distance: float) -> tuple[np.ndarray, np.ndarray]:
    return np.full((1, 1), u), np.full((1, 1), distance)


def _darkened_px(outward: np.ndarray | None) -> np.ndarray:
    """Return the sum over heights of the darkening by the lash line at -0.6 and 0.6 half eye widths, pixels."""
    v = np.repeat(np.linspace(-10.0, 10.0, 201)[:, None], 2, axis=1)
    shape = np.ones_like(v)
    lids = Lids(-12.0 * shape, 4.0 * shape, 0.0 * shape, 0.0 * shape)
    geometry = LidGeometry(16.0, 1.0, HALF_PX, flat=False, lashes=LashLine(1.2, 0.5, 0.0, 3.0))
    where = None if outward is None else outward * shape
    return (1.0 - geometry.skin_shade(v, lids, where, 1.0, np)).sum(axis=0) * 0.1
