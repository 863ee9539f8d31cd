"""Measures of liveliness against THEval's scripts, run on the same random landmarks."""

import numpy as np
import pytest

from sadtalker_ext.metrics import liveliness

FRAMES = 40
SIZE_PX = (640, 480)
BY_SCRIPTS = {
    "eyebrows": 0.07331140589414425, "lip_dynamics": 3.591675956834521, "silent_lips": 0.006807638334697219,
    "head_motion": 25.061883610087012,
}  # fmt: skip
"""Results of THEval's functions compute_micro_expression_intensity, compute_mouth_diversity, process_video (of
silent_lip_stability.py, first 18 frames) and measure_head_motion_dynamics for the landmarks and angles below."""


@pytest.fixture(scope="module")
def random():
    """Meshes (40, 478, 3) in pixels, head angles (40, 3) and positions (40, 2), drawn in this order."""
    rng = np.random.default_rng(7)
    base = rng.uniform(0.2, 0.8, (478, 2))
    shares = np.clip(base + 0.01 * rng.standard_normal((FRAMES, 478, 2)), 0, 1)
    meshes = np.concatenate([shares * SIZE_PX, np.zeros((FRAMES, 478, 1))], axis=2)
    return meshes, 5 * rng.standard_normal((FRAMES, 3)), 200 + 20 * rng.standard_normal((FRAMES, 2))


def test_measures_equal_those_of_the_scripts(random):
    meshes, angles_deg, centres_px = random
    found = {
        "eyebrows": liveliness.eyebrow_dynamics(np.array([liveliness.brow_heights(mesh) for mesh in meshes])),
        "lip_dynamics": liveliness.lip_dynamics(np.array([liveliness.lip_shape(mesh, SIZE_PX) for mesh in meshes])),
        "silent_lips": liveliness.silent_lip_stability([liveliness.lip_gap(mesh, SIZE_PX) for mesh in meshes[:18]]),
        "head_motion": liveliness.head_motion_dynamics(angles_deg, centres_px),
    }
    assert found == pytest.approx(BY_SCRIPTS, rel=1e-9)


def test_silent_frames_equal_those_of_the_script():
    silent = liveliness.silent_frames([(0.5, 1.2), (1.4, 2.0), (2.6, 3.1)], 25.0, 100)
    assert np.flatnonzero(silent).tolist() == [*range(12), *range(51, 65), *range(78, 100)]
    assert liveliness.silent_frames([], 25.0, 30).all()
    assert not liveliness.silent_frames([(0.0, 9.9)], 25.0, 30).any()


def test_a_still_face_has_no_dynamics(random):
    mesh = random[0][0]
    shapes = np.array([liveliness.lip_shape(mesh, SIZE_PX)] * 3)
    assert liveliness.lip_dynamics(shapes) == pytest.approx(0, abs=1e-12)
    assert liveliness.eyebrow_dynamics(np.array([liveliness.brow_heights(mesh)] * 3)) == 0
    assert liveliness.head_motion_dynamics(np.zeros((3, 3)), np.ones((3, 2))) == 0
    assert np.isnan(liveliness.silent_lip_stability([0.1]))


@pytest.mark.parametrize(("value", "near"), [(2.0, 1.0), (1.0, 0.5), (0.0, 0.0), (3.0, 0.5), (5.0, -0.5)])
def test_closeness_is_the_relative_agreement(value, near):
    assert liveliness.closeness(value, 2.0) == pytest.approx(near)
