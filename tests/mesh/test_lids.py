"""The lids of the mesh against the closed lids of the renderer, and what their edges show."""

import numpy as np
import pytest

from sadtalker_ext.mesh.face_mesh import FACE_HEIGHT_M
from sadtalker_ext.mesh.targets import TARGET_NAMES
from sadtalker_ext.mesh.topology import EYE_CONTOURS
from sadtalker_ext.puppet.topology import FACE_OVAL

SIDES = (("right", EYE_CONTOURS[0]), ("left", EYE_CONTOURS[1]))


@pytest.mark.parametrize(("side", "contour"), SIDES)
def test_outer_corners_of_closing_eyes_drop(face_mesh, side, contour):
    """Tracked outer corners of real blinks move down by 2.5 % of the distance between both; inner ones stay."""
    moved = face_mesh.targets[TARGET_NAMES.index(f"blink_{side}")]
    outer, inner = contour[0], contour[len(contour) // 2]
    apart = np.linalg.norm(face_mesh.positions[EYE_CONTOURS[0][0]] - face_mesh.positions[EYE_CONTOURS[1][0]])
    assert -moved[outer, 1] == pytest.approx(0.025 * apart, rel=0.4)
    assert abs(moved[inner, 1]) < 0.1 * abs(moved[outer, 1])


def test_blinks_leave_the_outline_of_the_face_where_the_head_begins(face_mesh):
    for side in ("left", "right"):
        assert not face_mesh.targets[TARGET_NAMES.index(f"blink_{side}"), list(FACE_OVAL)].any()


@pytest.mark.parametrize(("side", "contour"), SIDES)
def test_closed_lids_meet(face_mesh, side, contour):
    """The upper lid ends on or below the edge of the lower one, at all places between the corners."""
    shut = face_mesh.positions + face_mesh.targets[TARGET_NAMES.index(f"blink_{side}")]
    half = len(contour) // 2
    lower, upper = (shut[list(part)] for part in (contour[1:half], contour[half + 1 :]))
    lower, upper = (part[np.argsort(part[:, 0])] for part in (lower, upper))
    below = np.interp(upper[:, 0], lower[:, 0], lower[:, 1]) - upper[:, 1]
    assert below.min() > -2e-4 * FACE_HEIGHT_M
    assert below.max() < 0.02 * FACE_HEIGHT_M


@pytest.mark.parametrize(("side", "contour"), SIDES)
def test_edges_of_the_lids_show_skin_outside_the_opening(renderer, face_mesh, side, contour):
    frame = getattr(renderer.rig.face, f"{side}_eye")
    height, width = face_mesh.texture.shape[:2]
    scale = FACE_HEIGHT_M / renderer.rig.face.height_px
    chain = list(contour)
    points = renderer.rig.head.pivot[:2] + face_mesh.positions[chain, :2] / scale * [1.0, -1.0]
    texels = face_mesh.uv[chain] * [width, height]
    half = len(contour) // 2
    shift = (texels - points) - (texels - points)[[0, half]].mean(axis=0)  # corners show themselves
    down = shift @ frame.axes.down / frame.half_px
    assert down[1:half].min() > 0.025
    assert down[half + 1 :].max() < -0.015
