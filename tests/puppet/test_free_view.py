"""Large rotations: geometry against a ray caster, no holes, no folds, and what must stay."""

import gc
import weakref
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from puppet_portraits import STILL, mesh_of, picture_of, shape
from ray_caster import Ellipsoid, matrix_of
from scipy import ndimage

from sadtalker_ext.geometry.measures import STABLE_POINTS
from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.head import CAMERA_DISTANCE
from sadtalker_ext.puppet.renderer import PortraitRenderer
from sadtalker_ext.puppet.rig import HEAD_MARGIN_CELLS
from sadtalker_ext.puppet.solid_head import FREE_VIEW_LIMITS_RAD, measured_gain

NEUTRAL = shape()
TURNS_DEG = [(0, -30, 0), (0, 30, 0), (-20, 0, 0), (20, 0, 0), (14, 21, 0), (-14, -21, 10)]


def radians(*angles_deg: float) -> np.ndarray:
    return np.deg2rad(np.array(angles_deg, np.float32))


def person_around(mesh: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a segmentation (H, W): a head with hair, and shoulders."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    middle, height = mesh[:468, :2].mean(0), np.ptp(mesh[:468, 1])
    head = np.hypot((columns - middle[0]) / (0.75 * height), (rows - middle[1] + 10) / height) < 1.0
    body = (rows > middle[1] + 0.6 * height) & (np.abs(columns - middle[0]) < 2.0 * height)
    return (head | body).astype(np.float32)


@pytest.fixture(scope="module")
def ordinary():
    picture, mesh = picture_of("astronaut"), mesh_of("astronaut")
    return PortraitRenderer(picture, mesh, person_around(mesh, picture.shape[:2]))


@pytest.fixture(scope="module")
def wide(ordinary):
    return ordinary.free_view()


def test_a_free_view_is_prepared_once_and_frames_at_rest_are_the_picture(ordinary, wide):
    assert ordinary.free_view() is wide
    assert wide.free_view() is wide
    np.testing.assert_array_equal(wide.render_frame(NEUTRAL, STILL, STILL), picture_of("astronaut"))
    open_mouth = shape(jaw_open=0.5)
    difference = wide.render_frame(open_mouth, STILL, STILL).astype(int) - ordinary.render_frame(
        open_mouth, STILL, STILL
    )
    assert np.abs(difference).mean() < 0.1


@pytest.mark.parametrize("angles_deg", [(0, 28, 0), (0, -28, 0), (17, 0, 0), (-17, 0, 0), (10, 20, 8)])
def test_a_turned_ellipsoid_looks_as_a_ray_caster_draws_it(angles_deg):
    mesh = mesh_of("astronaut").copy()
    oval = mesh[list(topo.FACE_OVAL), :2]
    centre, height = oval.mean(0), np.ptp(oval[:, 1])
    solid = Ellipsoid(np.array([*centre, 0.0]), np.array([0.75, 0.95, 0.6]) * height)
    mesh[:, 2] = solid.front(mesh[:, :2].astype(float))
    rows, columns = np.mgrid[:512, :512]
    noise = cv2.GaussianBlur(np.random.default_rng(4).normal(size=(512, 512, 3)), (0, 0), 7)
    picture = np.clip(127 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)
    renderer = PortraitRenderer(picture, mesh).free_view()
    head = replace(renderer.rig.head, relief=1.0, gains=(1.0, 1.0, 1.0), hold=None)
    renderer.rig = replace(renderer.rig, head=head)
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(float)
    distance = CAMERA_DISTANCE * head.height_px
    sources = solid.sources(pixels, matrix_of(*angles_deg), head.pivot, distance)
    seen = sources.astype(np.float32).reshape(512, 512, 2)
    inner = (oval - centre) * 0.85 + centre
    known = np.zeros((512, 512), np.uint8)
    cv2.fillPoly(known, [np.round(inner).astype(np.int32)], 1)
    shown = np.nan_to_num(seen, nan=-9.0)
    inside = cv2.remap(known, shown[..., 0], shown[..., 1], cv2.INTER_NEAREST) > 0
    assert inside.sum() > 3000
    drawn = cv2.remap(picture, shown[..., 0], shown[..., 1], cv2.INTER_LINEAR)[inside].astype(float)
    frame = renderer.render_frame(NEUTRAL, radians(*angles_deg), STILL)[inside].astype(float)
    unturned = np.abs(picture[inside] - drawn).mean()
    assert np.abs(frame - drawn).mean() < 0.25 * unturned
    placed = renderer.rig.head.displace(np.deg2rad(np.array(angles_deg, float)), np.zeros(3)).backward(
        np.stack([columns, rows], axis=-1).astype(np.float32)
    )
    assert np.median(np.linalg.norm(placed - shown, axis=-1)[inside]) < 0.012 * height


@pytest.mark.parametrize("angles_deg", TURNS_DEG)
def test_the_head_has_neither_holes_nor_folds(wide, angles_deg):
    rig = wide.rig
    nodes = rig.head_grid.nodes(HEAD_MARGIN_CELLS)
    moved = rig.head.displace(np.deg2rad(np.array(angles_deg, float)), np.zeros(3))
    sources = moved.backward(nodes)
    assert np.abs(moved.forward(sources) - nodes).max() < 0.5 * rig.head_grid.cell
    xx, xy, yx, yy = np.moveaxis(moved.slope, -1, 0)
    determinant = (1.0 + xx) * (1.0 + yy) - xy * yx
    assert determinant.min() > 0.0
    assert determinant.max() < 3.5
    share = rig.head_grid.widened(HEAD_MARGIN_CELLS).sample(rig.matte, sources)
    solid = share > 0.5
    assert ndimage.label(solid)[1] == 1
    np.testing.assert_array_equal(ndimage.binary_fill_holes(solid), solid)
    assert 0.85 < solid.sum() / (rig.matte > 0.5).sum() < 1.2


@pytest.mark.parametrize("angles_deg", TURNS_DEG)
def test_shoulders_and_background_stay(wide, angles_deg):
    picture, mesh = picture_of("astronaut"), mesh_of("astronaut")
    frame = wide.render_frame(shape(jaw_open=0.3), radians(*angles_deg), STILL)
    rows, columns = np.mgrid[:512, :512]
    height = np.ptp(mesh[:468, 1])
    below = rows > mesh[152, 1] + 0.75 * height
    away = np.hypot(columns - mesh[:468, 0].mean(), rows - mesh[:468, 1].mean()) > 2.3 * height
    np.testing.assert_array_equal(frame[below | away], picture[below | away])
    face = np.hypot(columns - mesh[4, 0], rows - mesh[4, 1]) < 0.3 * height
    assert np.abs(frame[face].astype(int) - picture[face]).mean() > 5


def test_small_steps_of_a_turn_change_frames_by_small_steps(wide):
    frames = [wide.render_frame(NEUTRAL, radians(0.4 * a, a, 0), STILL).astype(float) for a in np.linspace(-30, 30, 41)]
    changes = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    assert max(changes) < 2.5 * np.median(changes)


def test_beyond_the_range_a_view_is_bent_softly_to_its_limit(wide):
    frames = [wide.render_frame(NEUTRAL, np.float32([0, yaw, 0]), STILL).astype(float) for yaw in (0.52, 0.7, 1.0, 2.0)]
    assert np.abs(frames[1] - frames[0]).mean() > 0.5
    assert np.abs(frames[3] - frames[2]).mean() < 0.05
    assert FREE_VIEW_LIMITS_RAD[1] == pytest.approx(np.deg2rad(30))


def test_landmarks_turn_by_the_given_angles(wide):
    assert list(topo.SKULL_POINTS) == list(STABLE_POINTS)
    mesh = mesh_of("astronaut").astype(float)
    assert measured_gain(wide.rig.head, mesh, 1) == pytest.approx(0.93, abs=0.03)
    assert measured_gain(wide.rig.head, mesh, 0) == pytest.approx(0.95, abs=0.05)


@pytest.mark.parametrize("yaw_deg", [-30, 30])
def test_a_turned_head_nods_by_the_given_angle_and_a_straight_one_by_its_gain(wide, yaw_deg):
    head = wide.rig.head
    given = np.deg2rad(np.array([20.0, yaw_deg, 5.0]))
    turned = head.amplified(given)
    assert turned[0] == pytest.approx(given[0])
    assert turned[1] / given[1] == pytest.approx(head.gains[1])
    pitches = [head.amplified(given * [1.0, share, 1.0])[0] for share in np.linspace(0.0, 1.0, 31)]
    assert pitches[0] == pytest.approx(head.gains[0] * given[0])
    assert np.abs(np.diff(pitches)).max() < np.deg2rad(1.0)


def test_pictures_without_a_person_mask_or_with_a_cut_head_can_be_turned():
    picture, mesh = picture_of("astronaut"), mesh_of("astronaut").copy()
    top, left = int(mesh[10, 1]) - 6, int(mesh[234, 0]) - 8
    close_up = np.ascontiguousarray(picture[top : top + 180, left : left + 140])
    mesh[:, :2] -= [left, top]
    renderer = PortraitRenderer(close_up, mesh).free_view()
    for angles in TURNS_DEG:
        frame = renderer.render_frame(shape(jaw_open=0.4, blink_left=1.0), radians(*angles), STILL)
        assert frame.shape == close_up.shape
        assert (frame != close_up).any()


@pytest.mark.parametrize("size", [(65, 64), (70, 333)])
def test_tiny_pictures_can_be_turned(size):
    height, width = size
    mesh = mesh_of("astronaut")
    low, high = mesh[:468, :2].min(0), mesh[:468, :2].max(0)
    scale = 0.8 * height / (high[1] - low[1])
    move = np.float32([[scale, 0, width / 2 - scale * (low[0] + high[0]) / 2], [0, scale, 5 - scale * low[1]]])
    small = cv2.warpAffine(picture_of("astronaut"), move, (width, height), flags=cv2.INTER_AREA)
    points = mesh * np.float32(scale)
    points[:, :2] += move[:, 2]
    renderer = PortraitRenderer(small, points, person_around(points, size)).free_view()
    for angles in TURNS_DEG:
        frame = renderer.render_frame(shape(jaw_open=0.5), radians(*angles), STILL)
        assert frame.shape == small.shape
        assert (frame != small).any()


def test_the_torch_backend_draws_the_same_free_view():
    from sadtalker_ext.puppet.imaging_torch import TorchImaging

    picture, mesh = picture_of("astronaut"), mesh_of("astronaut")
    person = person_around(mesh, picture.shape[:2])
    torch_view = PortraitRenderer(picture, mesh, person, TorchImaging("cpu")).free_view()
    plain_view = PortraitRenderer(picture, mesh, person).free_view()
    motion = (shape(jaw_open=0.4, blink_left=0.5), radians(5, 25, 0), STILL)
    difference = torch_view.render_frame(*motion).astype(int) - plain_view.render_frame(*motion)
    assert np.abs(difference).mean() < 0.6


def test_a_renderer_is_freed_at_once_with_its_free_view():
    """No cycle of references keeps the large arrays until the garbage is collected."""
    gc.disable()
    try:
        renderer = PortraitRenderer(picture_of("astronaut"), mesh_of("astronaut"))
        kept = weakref.ref(renderer.free_view())
        del renderer
        assert kept() is None
    finally:
        gc.enable()
