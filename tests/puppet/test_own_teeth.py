"""Upper teeth of a portrait with a wide open mouth: where they end, and what remains visible when it speaks."""

from __future__ import annotations

import numpy as np
import pytest
from puppet_portraits import STILL, enlarged, mesh_of, shape

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.face_geometry import FaceGeometry, measure_face
from sadtalker_ext.puppet.mouth_colours import visible_teeth
from sadtalker_ext.puppet.renderer import PortraitRenderer

LIP, THROAT, ENAMEL = (170, 60, 70), (40, 15, 15), (250, 250, 250)
SCALE = 2
"""The astronaut's face is small; enlarged, a pixel is 0.005 face heights."""
GAP, LOWER_LIP, TEETH = 0.16, 0.06, 0.045
"""Heights in face heights: of the gap and the lower lip in the middle, and of each row of teeth."""


def wide_mesh() -> np.ndarray:
    """Return the enlarged astronaut's mesh with a wide open mouth."""
    mesh = mesh_of("astronaut") * SCALE
    height = measure_face(mesh).height_px
    for lower, opened in ((topo.MOUTH_LOWER_INNER, GAP), (topo.MOUTH_LOWER_OUTER, GAP + LOWER_LIP)):
        upper = mesh[list(topo.MOUTH_UPPER_INNER)]
        left, right = upper[0, 0], upper[-1, 0]
        x = mesh[list(lower), 0]
        profile = np.maximum(1.0 - (2.0 * (x - left) / (right - left) - 1.0) ** 2, 0.0)
        mesh[list(lower), 1] = np.interp(x, upper[:, 0], upper[:, 1]) + opened * height * profile
    return mesh


def portrait(face: FaceGeometry, teeth: float, hidden: float = 0.0) -> np.ndarray:
    """Return the astronaut with upper teeth of this height (face heights) and lower teeth in a wide open mouth.

    hidden: height of the dark shadow that the upper lip casts on its teeth.
    """
    picture = enlarged("astronaut", SCALE)
    rows, columns = np.mgrid[: len(picture), : picture.shape[1]].astype(float)
    t, v = face.mouth.axes.local(np.stack([columns, rows], axis=-1))
    below, above = (v - face.mouth.upper(t)) / face.height_px, (face.mouth.lower(t) - v) / face.height_px
    around = np.abs(face.mouth.normalised(t)) < 1.0
    picture[around & (below > -0.15) & (above > -LOWER_LIP)] = LIP
    picture[around & (below > 0.0) & (above > 0.0)] = THROAT
    white = (np.maximum(below, hidden) < teeth) & (below > hidden) | (above < TEETH)
    picture[around & (np.minimum(below, above) > 0.0) & white] = ENAMEL
    return picture


@pytest.fixture(scope="module")
def face() -> FaceGeometry:
    return measure_face(wide_mesh())


@pytest.mark.parametrize("height", [0.03, TEETH, 0.06])
def test_upper_teeth_end_where_they_were_drawn(face, height):
    own = visible_teeth(portrait(face, height), face)
    assert own.amount == 1.0
    assert own.end == pytest.approx(height, abs=0.008)
    assert own.colour.min() > 235


def test_teeth_that_fill_the_gap_have_no_end(face):
    own = visible_teeth(portrait(face, GAP), face)
    assert own.amount == 1.0
    assert own.end is None
    assert visible_teeth(portrait(face, 0.0), face).end is None


def test_a_mouth_that_speaks_keeps_its_upper_teeth_only(face):
    """The lower teeth of the picture would float in the mouth; the upper ones are covered by 0.02 face heights."""
    renderer = PortraitRenderer(portrait(face, TEETH), wide_mesh())
    frame = renderer.render_frame(shape(mouth_neutral=1.0, jaw_open=0.6), STILL, STILL)
    middle = np.rint(face.mouth.axes.pixels(np.zeros(1), face.mouth.upper(np.zeros(1)))[0]).astype(int)
    column = frame[:, middle[0] - 2 : middle[0] + 3].min(axis=(1, 2))[
        middle[1] - 10 : middle[1] + round(0.3 * face.height_px)
    ]
    white = np.flatnonzero(column > 235)
    assert len(white) / face.height_px == pytest.approx(TEETH - 0.02, abs=0.01)
    assert white[-1] - white[0] < len(white) + 2


@pytest.fixture(scope="module")
def shaded(face) -> PortraitRenderer:
    """Return a renderer of the portrait whose upper lip casts a dark shadow on its teeth."""
    return PortraitRenderer(portrait(face, TEETH, hidden=0.012), wide_mesh())


@pytest.mark.parametrize("smile", [0.0, 0.8])
@pytest.mark.parametrize("raised", [0.0, 0.15, 0.3, 0.6])
@pytest.mark.parametrize("jaw", [0.0, 0.5, 1.0])
def test_only_one_row_of_teeth_shows_below_the_upper_lip(shaded, face, jaw, raised, smile):
    """From the upper lip downwards, the columns of the mouth become light at the teeth and stay dark below them."""
    expression = shape(jaw_open=jaw, upper_lip_raise=raised, smile=smile)
    frame = shaded.render_frame(expression, STILL, STILL).min(axis=-1)
    rows = np.arange(-0.10, 0.07, 1.0 / face.height_px) * face.height_px
    for u in (-0.45, -0.3, -0.1, 0.1, 0.3, 0.45):
        t = np.full_like(rows, u * (face.mouth.left_px if u < 0.0 else face.mouth.right_px))
        x, y = np.rint(face.mouth.axes.pixels(t, rows + face.mouth.upper(t))).astype(int).T
        assert np.count_nonzero(np.diff((frame[y, x] > 120.0).astype(int)) == 1) == 1
