"""Metrics of self-reenactment against scikit-image, and their sums over frames."""

import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sadtalker_ext.geometry.landmarks import LIPS
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.metrics import reenactment
from sadtalker_ext.metrics.image import luma
from sadtalker_ext.metrics.reenactment import REGIONS, Agreement, AgreementSum, compare_frames

MARGIN = 0.15
"""Margin of the mouth box."""


@pytest.fixture(scope="module")
def picture():
    return data.astronaut()


@pytest.fixture(scope="module")
def mesh():
    face = mean_face_mesh().astype(np.float64)
    face = (face - face.mean(axis=0)) * 150.0 / np.ptp(face[:, 1])
    return (face + np.array([225.0, 130.0, 0.0])).astype(np.float32)


def mouth_box(mesh):
    lips = mesh[list(LIPS), :2]
    margin = MARGIN * np.linalg.norm(mesh[33, :2] - mesh[263, :2])
    (left, top), (right, bottom) = np.floor(lips.min(0) - margin), np.ceil(lips.max(0) + margin)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def test_mouth_is_compared_like_scikit_image(picture, mesh):
    noise = np.random.default_rng(0).integers(-20, 21, picture.shape)
    other = np.clip(picture + noise, 0, 255).astype(np.uint8)
    found = compare_frames(other, mesh, picture, mesh)["mouth"]
    box = mouth_box(mesh)
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(picture[box], other[box]), abs=1e-9)
    _, full = structural_similarity(
        luma(other), luma(picture), data_range=255, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    assert found.ssim == pytest.approx(full[box].mean(), abs=1e-9)
    assert found.landmarks == 0


def test_equal_frames_agree_and_a_change_counts_only_in_its_region(picture, mesh):
    same = compare_frames(picture, mesh, picture, mesh)
    assert all(one == Agreement(float("inf"), pytest.approx(1.0), 0.0) for one in same.values())
    changed = picture.copy()
    changed[mouth_box(mesh)] //= 2
    found = compare_frames(changed, mesh, picture, mesh)
    assert found["eyes"].ssim == pytest.approx(1.0)
    assert found["mouth"].ssim < found["face"].ssim < 1
    assert found["mouth"].psnr < found["face"].psnr < float("inf")


def test_landmark_errors_are_relative_to_the_outer_eye_corners(picture, mesh):
    unit = np.linalg.norm(mesh[33, :2] - mesh[263, :2])
    moved = mesh.copy()
    moved[list(LIPS), :2] += np.array([3.0, 4.0], np.float32)
    found = compare_frames(picture, moved, picture, mesh)
    assert found["mouth"].landmarks == pytest.approx(5.0 / unit, rel=1e-5)
    assert found["face"].landmarks == pytest.approx(5.0 / unit * len(LIPS) / 468, rel=1e-5)
    assert found["eyes"].landmarks == 0


def test_boxes_stay_inside_the_picture(picture, mesh):
    outside = mesh - np.array([400.0, 300.0, 0.0], np.float32)
    assert set(compare_frames(picture, outside, picture, outside)) == set(REGIONS)
    window = reenactment._window(outside, 5.0, picture.shape)
    assert picture[window].size > 0


def test_sums_are_means_over_frames():
    total = AgreementSum()
    total.add({"mouth": Agreement(20.0, 0.5, 0.02)})
    total.add({"mouth": Agreement(30.0, 0.7, float("nan"))})
    values = {metric.name: metric.value for metric in total.metrics("_x", "a frame")}
    assert values == pytest.approx({"mouth_psnr_x": 25.0, "mouth_ssim_x": 0.6, "mouth_landmarks_x": 2.0})
    assert (total.frames, total.found) == (2, 1)
