"""Rims of glasses stay where they are while the brows move."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from puppet_portraits import STILL, enlarged, mesh_of, shape

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.renderer import PortraitRenderer

SCALE = 2
EYES = ((topo.LEFT_EYE_UPPER[0], topo.LEFT_EYE_UPPER[-1]), (topo.RIGHT_EYE_UPPER[0], topo.RIGHT_EYE_UPPER[-1]))


@pytest.mark.parametrize(("motion", "percent"), [({"brows_up": 1.0}, 95), ({"brows_down": 1.0}, 90)])
def test_rims_stay_while_the_brows_move(motion, percent):
    mesh = mesh_of("astronaut") * np.float32(SCALE)
    bare = enlarged("astronaut", SCALE)
    rims = np.zeros(bare.shape[:2], np.uint8)
    for corners in EYES:
        ends = mesh[list(corners), :2]
        (x, y), half = np.rint(ends.mean(axis=0)).astype(int), float(np.hypot(*(ends[1] - ends[0]))) / 2.0
        middle = (int(x), int(y + 0.5 * half))
        cv2.ellipse(rims, middle, (int(1.7 * half), int(1.15 * half)), 0, 0, 360, 255, 4, cv2.LINE_AA)
    share = (rims / 255.0)[..., None]
    picture = (bare * (1.0 - share) + 20 * share).astype(np.uint8)
    moved, moved_bare = (
        np.abs(PortraitRenderer(p, mesh).render_frame(shape(**motion), STILL, STILL).astype(int) - p).max(axis=-1)
        for p in (picture, bare)
    )
    assert np.percentile(moved[rims > 200], percent) < 12
    brows = [np.rint(mesh[list(chain), :2]).astype(int) for chain in (topo.LEFT_BROW, topo.RIGHT_BROW)]
    for brow in brows:
        rows, columns = slice(brow[:, 1].min() - 6, brow[:, 1].max()), slice(brow[:, 0].min(), brow[:, 0].max())
        assert moved[rows, columns].mean() > 0.6 * moved_bare[rows, columns].mean() > 2.0
