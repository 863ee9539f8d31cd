"""Hair behind the ears of short-haired heads: a painted head whose colours say what is seen where."""

from copy import copy
from dataclasses import replace

import cv2
import numpy as np
import pytest
from puppet_portraits import STILL, mesh_of, picture_of, shape

from sadtalker_ext.puppet.head_back import _mirrored
from sadtalker_ext.puppet.renderer import PortraitRenderer

BACKGROUND, HAIR, SKIN = (60, 90, 200), (50, 30, 20), (220, 170, 150)
SIZE = 640
NEUTRAL = shape()


def painted(*, ears: bool = True, long_hair: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a head with hair (picture), its mesh, and its segmentation."""
    mesh = mesh_of("astronaut").copy()
    points = mesh[:468, :2]
    scale = 230.0 / float(np.ptp(points[:, 1]))
    mesh *= np.float32(scale)
    mesh[:, :2] += 0.5 * SIZE - mesh[:468, :2].mean(0)
    picture, person = np.full((SIZE, SIZE, 3), BACKGROUND, np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    left, right = mesh[127, :2], mesh[356, :2]
    top = int(0.5 * (left[1] + right[1]))
    middle = int(0.5 * (left[0] + right[0]))
    half = int(0.5 * (right[0] - left[0])) + 26
    if long_hair:
        areas = [(HAIR, cv2.ellipse2Poly((middle, top + 60), (half + 40, 260), 0, 0, 360, 5))]
    else:
        areas = [(HAIR, cv2.ellipse2Poly((middle, top), (half, 150), 0, 180, 360, 5))]
    if ears:
        areas += [(SKIN, cv2.ellipse2Poly((int(x), top + 36), (26, 34), 0, 0, 360, 5)) for x in (left[0], right[0])]
    neck = np.array([(middle - 60, top), (middle + 60, top), (middle + 60, SIZE), (middle - 60, SIZE)])
    areas += [(SKIN, neck), (SKIN, cv2.convexHull(np.rint(mesh[:468, :2]).astype(np.int32))[:, 0])]
    for colour, polygon in areas:
        cv2.fillPoly(picture, [polygon.astype(np.int32)], colour)
        cv2.fillPoly(person, [polygon.astype(np.int32)], 1)
    return picture, mesh, cv2.GaussianBlur(person.astype(np.float32), (0, 0), 1.5)


@pytest.fixture(scope="module")
def view():
    return PortraitRenderer(*painted()).free_view()


def frame_of(renderer: PortraitRenderer, *angles_deg: float, backs: bool = True) -> np.ndarray:
    shown = copy(renderer)
    if not backs:
        shown.rig = replace(renderer.rig, backs=())
    return shown.render_frame(NEUTRAL, np.deg2rad(np.float32(angles_deg)), STILL).astype(int)


@pytest.mark.parametrize("yaw", [-30, -18, 18, 30])
@pytest.mark.parametrize("pitch", [-15, 0, 15])
def test_background_behind_the_ear_that_comes_into_view_becomes_hair(view, yaw, pitch):
    with_hair, without = frame_of(view, pitch, yaw, 0), frame_of(view, pitch, yaw, 0, backs=False)
    changed = np.abs(with_hair - without).max(axis=-1) > 60
    near = np.arange(SIZE) < SIZE // 2 if yaw > 0 else np.arange(SIZE) >= SIZE // 2
    assert changed[:, near].sum() > 100
    assert not changed[:, ~near].any()
    assert np.abs(np.median(without[changed], axis=0) - BACKGROUND).max() < 30
    assert np.abs(np.median(with_hair[changed], axis=0) - HAIR).max() < 25


@pytest.mark.parametrize("yaw", [-30, 30])
def test_ear_and_face_stay_in_front_of_the_hair(view, yaw):
    with_hair, without = frame_of(view, 0, yaw, 0), frame_of(view, 0, yaw, 0, backs=False)
    skin = (np.abs(without - SKIN).max(axis=-1) < 12).astype(np.uint8)
    inner = cv2.erode(skin, np.ones((5, 5), np.uint8)) > 0
    assert inner.sum() > 20000
    assert np.abs(with_hair - without)[inner].max() <= 12


def test_the_hair_appears_without_a_jump(view):
    yaws = np.arange(2.0, 31.0, 2.0)
    areas = [np.abs(frame_of(view, 0, y, 0) - frame_of(view, 0, y, 0, backs=False)).sum() / 255.0 for y in yaws]
    assert areas[0] == 0.0
    assert areas[-1] > 300.0
    assert np.abs(np.diff(areas)).max() < 0.2 * max(areas)


@pytest.mark.parametrize("head", [{"ears": False}, {"long_hair": True}, {"ears": False, "long_hair": True}])
def test_heads_without_visible_ears_or_with_long_hair_have_no_layer(head):
    assert PortraitRenderer(*painted(**head)).free_view().rig.backs == ()


def test_long_hair_of_a_photograph_has_no_layer():
    picture, mesh = picture_of("astronaut"), mesh_of("astronaut")
    assert PortraitRenderer(picture, mesh).free_view().rig.backs == ()


def test_the_torch_backend_draws_the_same_hair(view):
    from sadtalker_ext.puppet.imaging_torch import TorchImaging

    torch_view = PortraitRenderer(*painted(), TorchImaging("cpu")).free_view()
    difference = frame_of(torch_view, 5, 28, 4) - frame_of(view, 5, 28, 4)
    assert np.abs(difference).mean() < 0.6
    assert (np.abs(difference).max(axis=-1) > 60).mean() < 0.002


def test_mirrored_places_are_a_triangle_wave():
    values = np.linspace(-3.0, 3.0, 601)
    wave = 2.0 / np.pi * np.arcsin(np.sin(np.pi * (values + 0.1) / 0.4 - np.pi / 2.0))
    np.testing.assert_allclose(_mirrored(values, -0.1, 0.3), 0.1 + 0.2 * wave, atol=1e-9)
