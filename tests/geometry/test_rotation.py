"""Rotations compared with SciPy, documented signs, and fits of known transforms."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sadtalker_ext.geometry.rotation import euler_to_matrix, fit_rigid, fit_rigid_robust, matrix_to_euler

TOWARDS_CAMERA = np.array([0.0, 0.0, -1.0])


def test_matches_scipy_in_the_documented_order():
    angles = np.random.default_rng(0).uniform(-1.5, 1.5, (200, 3))
    turns = (1, -1, 1) * angles
    pitch, yaw, roll = (Rotation.from_euler(axis, part[:, None]) for axis, part in zip("xyz", turns.T, strict=True))
    oracle = roll * pitch * yaw
    np.testing.assert_allclose(euler_to_matrix(angles), oracle.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(matrix_to_euler(oracle.as_matrix()), angles, atol=1e-9)


@pytest.mark.parametrize(
    ("angles", "axis", "sign"),
    [
        ((0.3, 0.0, 0.0), 1, 1),  # positive pitch looks down: the gaze gains y
        ((0.0, 0.3, 0.0), 0, 1),  # positive yaw turns to the viewer's right: the gaze gains x
    ],
)
def test_signs_of_pitch_and_yaw(angles, axis, sign):
    gaze = euler_to_matrix(np.array(angles)) @ TOWARDS_CAMERA
    assert np.sign(gaze[axis]) == sign
    assert abs(gaze[axis]) == pytest.approx(np.sin(0.3))


def test_positive_roll_is_clockwise_in_the_picture():
    crown = euler_to_matrix(np.array([0.0, 0.0, 0.3])) @ np.array([0.0, -1.0, 0.0])
    assert crown[0] == pytest.approx(np.sin(0.3))


@pytest.mark.parametrize("pitch", [np.pi / 2, -np.pi / 2])
def test_gimbal_lock_preserves_the_rotation(pitch):
    matrix = euler_to_matrix(np.array([pitch, 0.4, 0.7]))
    angles = matrix_to_euler(matrix)
    assert angles[2] == 0.0
    np.testing.assert_allclose(euler_to_matrix(angles), matrix, atol=1e-7)


def test_fit_recovers_a_known_similarity_and_never_mirrors():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(30, 3))
    rotation = Rotation.from_rotvec([0.2, -0.5, 0.9]).as_matrix()
    target = 2.5 * points @ rotation.T + [3.0, -1.0, 7.0]
    fit = fit_rigid(points, target)
    np.testing.assert_allclose(fit.rotation, rotation, atol=1e-10)
    assert fit.scale == pytest.approx(2.5)
    np.testing.assert_allclose(fit.apply(points), target, atol=1e-9)
    mirrored = fit_rigid(points, target * [-1.0, 1.0, 1.0])
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1.0)


def test_fit_agrees_with_scipy_on_noisy_weighted_points():
    rng = np.random.default_rng(2)
    points, weights = rng.normal(size=(40, 3)), rng.uniform(0.1, 1.0, 40)
    target = points @ Rotation.from_rotvec([0.4, 0.1, -0.3]).as_matrix().T + 0.1 * rng.normal(size=(40, 3))
    centre = [(weights @ part) / weights.sum() for part in (points, target)]
    oracle, _ = Rotation.align_vectors(target - centre[1], points - centre[0], weights=weights)
    np.testing.assert_allclose(fit_rigid(points, target, weights).rotation, oracle.as_matrix(), atol=1e-6)


def test_robust_fit_ignores_outliers():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(40, 3))
    rotation = Rotation.from_rotvec([0.0, 0.3, 0.1]).as_matrix()
    target = points @ rotation.T + 0.002 * rng.normal(size=(40, 3))
    target[:6] += 1.0
    plain, robust = fit_rigid(points, target), fit_rigid_robust(points, target)
    error = [Rotation.from_matrix(fit.rotation @ rotation.T).magnitude() for fit in (plain, robust)]
    assert error[0] > 0.05
    assert error[1] < 0.005
