"""A head that touches the border of the picture: its hair is stretched, and no pixel of the border is repeated."""

import numpy as np
import pytest

from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.puppet.basis import SHAPES
from sadtalker_ext.puppet.head import TRANSLATION_LIMIT
from sadtalker_ext.puppet.renderer import PortraitRenderer

SIDE_PX = 400
FACE_PX = 150.0
STILL = np.zeros(len(SHAPES), np.float32)


def make_renderer(centre):
    """A portrait whose grey levels are the row and the column of each pixel, with a face at ``centre``."""
    face = mean_face_mesh().astype(np.float64)
    face = (face - face.mean(axis=0)) * FACE_PX / np.ptp(face[:, 1]) + [*centre, 0.0]
    rows, columns = np.mgrid[0:SIDE_PX, 0:SIDE_PX] * 255.0 / SIDE_PX
    picture = np.stack([rows, columns, 0.0 * rows], axis=-1).round().astype(np.uint8)
    return PortraitRenderer(picture, face.astype(np.float32)), picture, face.astype(np.float32)


def move(renderer, x=0.0, y=0.0):
    return renderer.render_frame(STILL, np.zeros(3, np.float32), np.array([x, y, 0.0], np.float32))


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.12), (0.12, 0.0), (-0.12, 0.0)])
def test_border_stays_when_the_head_moves_away_from_it(x, y):
    centre = (SIDE_PX / 2 - np.sign(x) * 60, 130.0)
    renderer, picture, face = make_renderer(centre)
    frame = move(renderer, x, y).astype(int)
    edge = {(0.0, 0.12): np.s_[0, :], (0.12, 0.0): np.s_[:, 0], (-0.12, 0.0): np.s_[:, -1]}[x, y]
    assert np.abs(frame[edge] - picture[edge].astype(int)).max() <= 2
    assert np.abs(np.diff(frame[:60, 200, 0])).max() <= 3, "stretched evenly"
    nose = face[1, :2]
    height = renderer.rig.face.height_px
    to = np.round(nose + np.array([x, y]) * height).astype(int)
    expected = nose[::-1] * 255.0 / SIDE_PX
    np.testing.assert_allclose(frame[to[1], to[0], :2], expected, atol=2.5)


def test_head_may_leave_the_picture():
    renderer, picture, face = make_renderer((SIDE_PX / 2, 130.0))
    frame = move(renderer, y=-0.2).astype(int)
    lifted = 0.2 * renderer.rig.face.height_px * 255.0 / SIDE_PX
    top = frame[2, int(face[10, 0]), 0] - int(picture[2, 0, 0])
    assert top == pytest.approx(lifted, abs=6)


def test_nothing_folds_at_the_largest_translation():
    renderer, _, _ = make_renderer((SIDE_PX / 2, 130.0))
    for y in (-TRANSLATION_LIMIT, TRANSLATION_LIMIT):
        shift = renderer.rig.head.displace(np.zeros(3), np.array([0.0, y, 0.0])).shift[..., 1]
        assert np.diff(shift, axis=0).min() / renderer.rig.head_grid.cell > -0.95
