"""Ears and hair beside a face on its far side: they disappear where a rigid head hides them, and long hair does not."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from puppet_portraits import STILL, mesh_of, shape
from ray_caster import matrix_of

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.far_outline import FarOutline, build_far_outline
from sadtalker_ext.puppet.renderer import PortraitRenderer

SIDE_PX = 320
HEIGHT_PX = 120.0
EAR_REACH, HAIR_REACH = 0.48, 0.62
"""Distances of the outer edge of ears and of long hair from the middle of the face, in face heights."""
EAR_DEPTH = 0.2
"""Depth of an ear behind the back of the face, in face heights."""


def portrait(reach: float, down_to: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return picture, mesh and person: skin, and blue hair beside it from the eyes to ``down_to`` face heights."""
    mesh = mesh_of("astronaut").copy()
    mesh[:, :2] -= mesh[list(topo.FACE_OVAL), :2].mean(axis=0)
    mesh *= HEIGHT_PX / np.ptp(mesh[:468, 1])
    mesh[:, :2] += SIDE_PX / 2
    x, y = (np.mgrid[:SIDE_PX, :SIDE_PX][::-1] - SIDE_PX / 2) / HEIGHT_PX
    picture = np.full((SIDE_PX, SIDE_PX, 3), 210, np.uint8)
    hair = (np.abs(x) < reach) & (y > -0.2) & (y < down_to)
    body = (y > 0.35) & (np.abs(x) < 0.2) | (y > 0.75) & (np.abs(x) < 0.8)
    skin = np.zeros(hair.shape, np.uint8)
    cv2.fillConvexPoly(skin, cv2.convexHull(np.rint(mesh[list(topo.FACE_OVAL), :2]).astype(np.int32)), (1,))
    picture[hair], picture[body | (skin > 0)] = (30, 30, 220), (220, 170, 140)
    return picture, mesh, (hair | body | (skin > 0)).astype(np.float32)


def far_hair(renderer: PortraitRenderer, yaw_deg: float) -> int:
    """Return the number of blue pixels at the far side above the chin."""
    frame = renderer.render_frame(shape(), np.deg2rad(np.float32([0.0, yaw_deg, 0.0])), STILL).astype(int)
    blue = (frame[..., 2] - frame[..., 0] > 60)[: round(SIDE_PX / 2 + 0.3 * HEIGHT_PX)]
    middle = SIDE_PX // 2
    return int((blue[:, middle:] if yaw_deg > 0.0 else blue[:, :middle]).sum())


@pytest.fixture(scope="module")
def short_haired():
    return PortraitRenderer(*portrait(EAR_REACH, 0.15)).free_view()


def hidden_from_deg(mesh: np.ndarray, sign: int, by: float) -> float:
    """Return the yaw at which the outer edge of a rigid ear is ``by`` face heights behind the edge of the cheek."""
    oval = mesh[list(topo.FACE_OVAL)].astype(float)
    ear = np.array([sign * EAR_REACH * HEIGHT_PX, 0.0, np.percentile(oval[:, 2], 90) + EAR_DEPTH * HEIGHT_PX])
    cheek = oval - [SIDE_PX / 2, SIDE_PX / 2, 0.0]
    cheek = cheek[np.abs(cheek[:, 1]) < 0.2 * HEIGHT_PX]
    for yaw_deg in range(1, 40):
        turn = matrix_of(0.0, sign * yaw_deg)
        if sign * float((turn @ ear)[0]) + by * HEIGHT_PX < float((sign * (cheek @ turn.T)[:, 0]).max()):
            return yaw_deg
    raise AssertionError


@pytest.mark.parametrize("sign", [-1, 1])
def test_far_ears_disappear_at_the_yaw_at_which_a_rigid_head_hides_them(short_haired, sign: int):
    mesh = portrait(EAR_REACH, 0.15)[1]
    angles = np.arange(2.0, 31.0, 4.0)
    areas = np.array([far_hair(short_haired, sign * angle) for angle in angles])
    assert areas[0] > 150
    assert areas[-1] <= 2
    assert (np.diff(areas) <= 3).all()
    gone = float(angles[np.flatnonzero(areas < 0.1 * areas[0])[0]])
    assert hidden_from_deg(mesh, sign, 0.0) - 2.0 < gone < hidden_from_deg(mesh, sign, 0.07) + 4.0


def test_hair_that_hangs_down_beside_the_jaw_stays():
    long_haired = PortraitRenderer(*portrait(HAIR_REACH, 0.8)).free_view()
    rest, turned = far_hair(long_haired, 2.0), far_hair(long_haired, 30.0)
    assert turned > 0.1 * rest > 40


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_node_disappears_if_it_and_all_beyond_it_are_hidden_or_background(sign: int):
    rng = np.random.default_rng(3)
    moved = np.cumsum(rng.uniform(-1.0, 1.6, (6, 30)), axis=1)
    person = (rng.uniform(size=moved.shape) < 0.5).astype(np.float32)
    person[:, ::sign][:, -6:] = 0.0
    outline = FarOutline(
        np.zeros(moved.shape, np.float32), np.zeros(moved.shape, np.float32), person, slice(0, 6), slice(2, 3), 1e-3
    )
    expected = np.ones(moved.shape)
    order = range(30)[::sign]
    for row in range(6):
        hidden = [any(sign * moved[row, q] > sign * moved[row, p] for q in order[:k]) for k, p in enumerate(order)]
        for k, p in enumerate(order):
            beyond = all(hidden[n] or person[row, order[n]] == 0.0 for n in range(k + 1, 30))
            expected[row, p] = 0.0 if hidden[k] and beyond else 1.0
    if expected[2].min() > 0.0:
        expected[:] = 1.0
    smooth = cv2.blur(expected.astype(np.float32), (3, 3))
    np.testing.assert_allclose(outline.seen(moved, sign), smooth, atol=1e-6)


def test_faces_that_fill_less_than_a_row_of_the_grid_have_no_outline():
    _, mesh, _ = portrait(EAR_REACH, 0.15)
    nodes = np.stack(np.meshgrid([0.0, 400.0], [0.0, 400.0]), axis=-1).astype(np.float32)
    axes = SimpleNamespace(along=np.array([1.0, 0.0]), down=np.array([0.0, 1.0]))
    face = SimpleNamespace(height_px=HEIGHT_PX, axes=axes)
    flat = np.zeros((2, 2), np.float32)
    assert build_far_outline(mesh.astype(float), face, nodes, flat, flat) is None
