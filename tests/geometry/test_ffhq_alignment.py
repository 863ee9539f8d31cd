"""Alignment to the FFHQ square: compared with OpenCV and scikit-image, and pasted back without loss."""

import cv2
import numpy as np
import pytest
from skimage.transform import SimilarityTransform

from sadtalker_ext.geometry import ffhq_alignment as ffhq
from sadtalker_ext.geometry.five_point_alignment import five_points
from sadtalker_ext.geometry.landmarks import FaceBox, subset_68
from sadtalker_ext.geometry.mean_face import place_in_box


def similarity(scale, angle_deg, shift):
    radians = np.deg2rad(angle_deg)
    cosine, sine = scale * np.cos(radians), scale * np.sin(radians)
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


def apply(transform, points):
    return points @ transform[:, :2].T + transform[:, 2]


@pytest.mark.parametrize(
    ("scale", "angle_deg", "shift"), [(1, 0, (0, 0)), (0.31, 25, (40, -7)), (5.2, -140, (-300, 9))]
)
def test_fit_recovers_a_known_similarity(scale, angle_deg, shift):
    points = np.random.default_rng(0).uniform(-50, 50, (9, 2))
    expected = similarity(scale, angle_deg, shift)
    assert np.allclose(ffhq.fit_similarity(points, apply(expected, points)), expected)


def test_least_squares_fit_matches_scikit_image():
    random = np.random.default_rng(1)
    for _ in range(20):
        points = random.uniform(0, 300, (5, 2))
        oracle = SimilarityTransform()
        oracle.estimate(points, ffhq.TEMPLATE_PX)
        ours = ffhq.fit_similarity(points, ffhq.TEMPLATE_PX)
        if np.linalg.det(oracle.params[:2, :2]) > 0:
            errors = [np.square(apply(m[:2], points) - ffhq.TEMPLATE_PX).sum() for m in (ours, oracle.params)]
            assert errors[0] <= errors[1] * (1 + 1e-9)


def test_mean_face_fits_the_template():
    """MediaPipe's five points of a frontal face are within a few percent of facexlib's."""
    mesh = place_in_box(FaceBox(100, 120, 150, 200))
    placed = apply(ffhq.square_transform(mesh), five_points(subset_68(mesh)) - 0.5)
    assert np.abs(placed - ffhq.TEMPLATE_PX).max() < 0.04 * ffhq.SIDE_PX


def picture_of(width, height):
    across, down = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 5, height))
    waves = [127 + 90 * np.sin(across + phase) * np.cos(down * (1 + phase / 3)) for phase in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("scale", [0.4, 0.9, 1.7, 4.0])
def test_cut_square_matches_opencv(scale):
    picture = picture_of(900, 700)
    transform = similarity(scale, 10, (256 - 450 * scale, 256 - 350 * scale))
    cut = ffhq.cut_square(picture, transform)
    plain = cv2.warpAffine(picture, transform, (512, 512), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    inside = cv2.warpAffine(np.ones((700, 900), np.uint8), transform, (512, 512)) > 0
    inside = cv2.erode(inside.astype(np.uint8), np.ones((9, 9))) > 0
    assert np.abs(cut.astype(int) - plain)[inside].max() <= 3


FULL_MASK = np.ones((512, 512), np.float32)


@pytest.mark.parametrize("scale", [0.4, 0.9, 1.7, 4.0])
def test_square_is_pasted_where_it_was_cut(scale):
    """A square that is brighter by 30 changes the picture by 30 inside and not at all outside."""
    picture = np.full((700, 900, 3), 100, np.uint8)
    transform = similarity(scale, -20, (256 - 450 * scale, 256 - 350 * scale))
    old = ffhq.cut_square(picture, transform)
    out = ffhq.paste_square(picture, old + np.float32(30), old, FULL_MASK, transform)
    place = apply(transform, np.stack(np.meshgrid(np.arange(900), np.arange(700)), axis=-1).reshape(-1, 2))
    away = np.maximum(np.abs(place - 255.5).max(axis=1) - 255.5, 0).reshape(700, 900) / scale
    deep = (255.5 - np.abs(place - 255.5).max(axis=1)).reshape(700, 900) / scale
    assert np.all(out[deep > 3 + 3 / scale] == 130)
    assert np.all(out[away > 3 + 3 / scale] == 100)
    assert (deep > 3 + 3 / scale).any()
    assert np.array_equal(picture, np.full_like(picture, 100))


def test_fine_texture_does_not_alias_in_a_small_face():
    """One-pixel stripes become grey in a face of a fifth of the size, at any shift."""
    stripes = np.full((512, 512, 3), 188, np.float32)
    stripes[:, 1::2] = 68
    picture = np.full((200, 200, 3), 128, np.uint8)
    for shift in (0.0, 0.3, 0.5):
        transform = similarity(5.0, 0, (-244 - 5 * shift, -244))
        out = ffhq.paste_square(picture, stripes, ffhq.cut_square(picture, transform), FULL_MASK, transform)
        assert np.abs(out[60:140, 60:140].astype(int) - 128).max() <= 2


def test_mask_covers_the_face_and_fades_before_the_edge():
    mesh = place_in_box(FaceBox(100, 120, 150, 200))
    transform = ffhq.square_transform(mesh)
    mask = ffhq.square_mask(ffhq.face_oval(mesh), transform)
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1
    for x, y in ffhq.TEMPLATE_PX.round().astype(int):
        assert mask[y, x] > 0.98
    assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) < 1e-3
    assert np.abs(np.diff(mask, axis=0)).max() < 0.04


def test_square_is_aligned_to_five_points_then_tracks_rigid_points():
    mesh = place_in_box(FaceBox(100, 120, 150, 200))
    tracker = ffhq.SquareTracker(25.0)
    assert np.allclose(tracker.update(mesh)[0], ffhq.square_transform(mesh))
    speaking = mesh.copy()
    speaking[mesh[:, 1] > mesh[2, 1]] += np.float32([3, 20, 0])
    assert np.allclose(tracker.update(speaking)[0], ffhq.square_transform(mesh))
    assert not np.allclose(ffhq.square_transform(speaking), ffhq.square_transform(mesh), atol=1e-2)
    for _ in range(40):
        transform, outline = tracker.update(mesh + np.float32([12, -7, 0]))
    shift = np.array([12, -7])
    outlines = ffhq.face_oval(mesh) + shift, ffhq.face_oval(mesh)
    moved = apply(transform, outlines[0]) - apply(ffhq.square_transform(mesh), outlines[1])
    assert np.abs(moved).max() < 2
    assert np.abs(outline - outlines[0]).max() < 1


def test_square_outside_the_picture_changes_nothing():
    picture = picture_of(60, 40)
    transform = similarity(1, 0, (-5000, -5000))
    assert ffhq.cut_square(picture, transform).shape == (512, 512, 3)
    old = ffhq.cut_square(picture, transform)
    assert np.array_equal(ffhq.paste_square(picture, old + np.float32(9), old, FULL_MASK, transform), picture)


def test_detail_finer_than_the_square_is_kept_and_coarser_detail_is_replaced():
    """Single-pixel noise of a large face is kept; a small face is replaced by the square."""
    noise = np.random.default_rng(2).normal(0, 12, (1200, 1200, 3))
    picture = np.clip(128 + noise, 0, 255).astype(np.uint8)
    large = similarity(0.45, 0, (256 - 600 * 0.45, 256 - 600 * 0.45))
    old = ffhq.cut_square(picture, large)
    pasted = ffhq.paste_square(picture, old + np.float32(20), old, FULL_MASK, large)[300:900, 300:900]
    assert np.abs(pasted - picture[300:900, 300:900].astype(int) - 20).max() <= 2
    small = similarity(2.5, 0, (256 - 600 * 2.5, 256 - 600 * 2.5))
    flat = ffhq.paste_square(picture, np.full((512, 512, 3), 90, np.float32), old, FULL_MASK, small)
    assert np.all(flat[520:680, 520:680] == 90)
