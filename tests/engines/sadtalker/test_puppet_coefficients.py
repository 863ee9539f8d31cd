"""The puppet's motion in the places of the 3DMM's coefficients, and back."""

from __future__ import annotations

import numpy as np

from sadtalker_ext.engines.sadtalker.coefficients import to_motion
from sadtalker_ext.engines.sadtalker.puppet_coefficients import (
    clip_coefficients,
    portrait_coefficients,
    portrait_rotation,
)
from sadtalker_ext.geometry.five_point_alignment import STANDARD_POINTS
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.rotation import euler_to_matrix
from sadtalker_ext.puppet.basis import SHAPES


def turned_face(angles_rad, size_px=256.0):
    """The mean face turned by known angles, in pixels of a square."""
    mesh = mean_face_mesh().astype(np.float64) @ euler_to_matrix(np.array(angles_rad)).T
    return (mesh * 0.5 * size_px + [size_px / 2, size_px / 2, 0]).astype(np.float32)


def test_portrait_rotation_is_that_of_the_head():
    np.testing.assert_allclose(portrait_rotation(turned_face([0, 0, 0])), 0, atol=1e-3)
    for angles in ([0.2, -0.3, 0.1], [-0.25, 0.4, -0.3]):
        np.testing.assert_allclose(portrait_rotation(turned_face(angles)), angles, atol=0.01)


def test_portrait_coefficients_have_no_expression_and_3dmm_signs():
    mesh = turned_face([0.1, 0.2, 0.3])
    found = portrait_coefficients(mesh, subset_68(mesh), 256)
    assert found.shape == (73,)
    assert not found[:64].any()
    np.testing.assert_allclose(found[64:67], [0.1, 0.2, -0.3], atol=0.01)  # roll counts the other way
    assert not found[67:70].any()


def test_crop_values_locate_the_face():
    near, far = turned_face([0, 0, 0]), turned_face([0, 0, 0]) * np.float32(0.5) + np.float32(40)
    crops = [portrait_coefficients(mesh, subset_68(mesh), 256)[70:] for mesh in (near, far)]
    assert abs(crops[1][0] / crops[0][0] - 2) < 1e-3
    five = near[[33, 133, 362, 263]]
    assert five[:, 0].min() < crops[0][1] < five[:, 0].max()
    assert STANDARD_POINTS.shape == (5, 3)


def test_coefficients_contain_the_motion():
    random = np.random.default_rng(0)
    motion = Motion(*(random.standard_normal((9, n)).astype(np.float32) for n in (len(SHAPES), 3, 3)))
    mesh = turned_face([0.1, -0.2, 0.05])
    source = portrait_coefficients(mesh, subset_68(mesh), 128)
    found = clip_coefficients(motion, source)
    assert found.shape == (9, 73)
    assert not found[:, len(SHAPES) : 64].any()
    np.testing.assert_array_equal(found[:, 70:], np.repeat(source[None, 70:], 9, axis=0))
    np.testing.assert_array_equal(found[:, : len(SHAPES)], motion.expression)
    relative = to_motion(np.concatenate((found[:, :64], found[:, 64:70] - source[64:70]), axis=1))
    for part in ("rotation", "translation"):
        np.testing.assert_allclose(getattr(relative, part), getattr(motion, part), atol=1e-5)
