"""Head rotation from 2D landmarks: exact for its model, robust to noise, independent of depth."""

import numpy as np
import pytest

from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.geometry.measures import STABLE_POINTS
from sadtalker_ext.geometry.planar_pose import rotation_between
from sadtalker_ext.geometry.rotation import euler_to_matrix


def face() -> np.ndarray:
    mesh = mean_face_mesh().astype(np.float64)
    return (mesh - mesh.mean(axis=0)) * 150 / np.ptp(mesh[:, 1])


@pytest.mark.parametrize("seed", range(5))
def test_rotation_is_recovered_for_any_scale_and_shift(seed: int):
    rng = np.random.default_rng(seed)
    angles = np.deg2rad(rng.uniform(-25, 25, 3))
    moved = rng.uniform(0.7, 1.4) * face() @ euler_to_matrix(angles).T + rng.uniform(-50, 400, 3)
    moved[:, 2] = rng.normal(0, 100, len(moved))
    np.testing.assert_allclose(rotation_between(moved, face() + 200), angles, atol=1e-4)


def test_noise_and_outliers_have_little_effect():
    rng = np.random.default_rng(0)
    angles = np.deg2rad([3.0, -5.0, 2.0])
    errors = []
    for _ in range(30):
        moved = face() @ euler_to_matrix(angles).T + rng.normal(0, 0.3, (478, 3))
        moved[list(STABLE_POINTS)[:4], :2] += 15.0
        errors.append(np.rad2deg(np.array(rotation_between(moved, face())) - angles))
    assert np.std(errors, axis=0).max() < 0.4
    assert np.abs(np.mean(errors, axis=0)).max() < 0.4
