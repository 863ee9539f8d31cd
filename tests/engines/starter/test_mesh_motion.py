"""Motion measured in landmarks: the renderer's own landmarks give the motion back, and steps are bounded optima."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares, lsq_linear

from sadtalker_ext.engines.starter import mesh_motion
from sadtalker_ext.engines.starter.mesh_motion import (
    FITTED,
    POINTS,
    LandmarkModel,
    fit_parameters,
    fit_pose,
)
from sadtalker_ext.geometry.bounded_step import bounded_step
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.puppet.basis import SHAPE_INDEX, SHAPES
from sadtalker_ext.puppet.expression_fields import LOWER, UPPER
from sadtalker_ext.puppet.head import rotation_matrix, turn_size
from sadtalker_ext.puppet.renderer import PortraitRenderer

FACE_PX = 160.0
SHAPE_NAMES = [shape.name for shape in FITTED]
POSE = len(FITTED)


@pytest.fixture(scope="module")
def mesh():
    """The mean face in the middle of a picture of 512 x 512 pixels."""
    face = mean_face_mesh().astype(np.float64)
    face = (face - face.mean(axis=0)) * FACE_PX / np.ptp(face[:, 1])
    return (face + np.array([256.0, 256.0, 0.0])).astype(np.float32)


@pytest.fixture(scope="module")
def model(mesh):
    return LandmarkModel(mesh)


def parameters(pose=(0.0,) * 6, **shapes):
    values = np.zeros(POSE + 6)
    for name, value in shapes.items():
        values[SHAPE_NAMES.index(name)] = value
    values[POSE:] = pose
    return values


MOTIONS = [
    parameters(jaw_open=0.5),
    parameters(pucker=0.7, jaw_open=0.2),
    parameters(smile=0.6, brows_up=0.8),
    parameters(mouth_raise=0.8, jaw_open=0.3),
    parameters(pose=(0.1, -0.12, 0.08, 0.03, -0.02, 0.04)),
    parameters(pose=(-0.08, 0.1, 0.0, 0.2, 0.05, 0.0), jaw_open=0.4, spread=0.5, brows_down=0.5),
]


@pytest.mark.parametrize("known", MOTIONS)
def test_landmarks_are_where_the_renderer_moves_them(mesh, model, known):
    renderer = PortraitRenderer(np.zeros((512, 512, 3), np.uint8), mesh)
    expression = np.zeros(len(SHAPES), np.float32)
    expression[[SHAPE_INDEX[name] for name in SHAPE_NAMES]] = known[:POSE]
    motion = (expression, known[POSE : POSE + 3].astype(np.float32), known[POSE + 3 :].astype(np.float32))
    at = mesh[list(POINTS), :2]
    placed = [renderer.place_points(at, np.full(len(at), layer == LOWER), motion) for layer in (UPPER, LOWER)]
    error = np.min([np.linalg.norm(model.place(known) - layer, axis=1) for layer in placed], axis=0)
    assert np.percentile(error, 95) < 0.006 * FACE_PX


@pytest.mark.parametrize("known", MOTIONS)
def test_motion_is_recovered_from_its_landmarks(model, known):
    found = fit_parameters(model, model.place(known), np.zeros(POSE + 6))
    np.testing.assert_allclose(found[POSE : POSE + 3], known[POSE : POSE + 3], atol=0.015)
    np.testing.assert_allclose(found[POSE + 3 :], known[POSE + 3 :], atol=0.03)
    error = np.linalg.norm(model.place(found) - model.place(known), axis=1)
    assert error.mean() < 0.006 * FACE_PX


def test_fit_does_not_diverge_beyond_what_the_renderer_shows(model):
    """Without limits and halved steps, some frames of a head that moves far ended on the wrong side of the picture."""
    known = parameters(pose=(-0.17, -0.11, 0.15, 0.05, -0.13, -0.28), pucker=0.8, smile=0.7, upper_lip_raise=0.4)
    start = parameters(pose=(-0.3, -0.13, 0.19, 0.05, -0.13, -0.45))
    found = fit_parameters(model, model.place(known), start)
    error = np.linalg.norm(model.place(found) - model.place(known), axis=1)
    assert error.mean() < 0.01 * FACE_PX
    for sign in (-1.0, 1.0):
        far = fit_parameters(model, model.place(known) + sign * np.array([150.0, 0.0]), start)
        assert np.all(np.abs(far[POSE:]) <= mesh_motion.POSE_RANGE)
        assert np.sign(far[POSE + 3]) == sign


@pytest.mark.parametrize("turn", [(0.26, 0.22, 0.0), (-0.15, 0.2, 0.2), (0.2, -0.25, -0.3)])
def test_fit_stays_within_ordinary_head_motion(mesh, model, turn, monkeypatch):
    """Beyond it the engine draws another head, whose landmarks are not those of the fit's model.

    The fit is at least about as good as a larger turn that is scaled down afterwards.
    """
    turned = (mesh - mesh.mean(axis=0)) @ rotation_matrix(np.array(turn)).T + mesh.mean(axis=0)
    target = turned[list(POINTS), :2].astype(np.float64)
    found = fit_parameters(model, target, parameters())
    rotation = found[POSE : POSE + 3]
    assert 0.95 < turn_size(rotation) < 1.0
    assert np.all(rotation * turn >= 0.0)
    monkeypatch.setattr(mesh_motion, "LARGEST_TURN", np.inf)
    larger = fit_parameters(model, target, parameters())
    assert turn_size(larger[POSE : POSE + 3]) > 1.0
    larger[POSE : POSE + 3] /= turn_size(larger[POSE : POSE + 3])
    error, error_of_larger = (np.linalg.norm(model.place(one) - target, axis=1).mean() for one in (found, larger))
    assert error < 1.02 * error_of_larger


def test_held_shapes_keep_their_values(model):
    target = model.place(parameters(mouth_raise=0.6, jaw_open=0.3))
    free, held = (fit_parameters(model, target, parameters(), names) for names in ((), ("mouth_raise",)))
    raised = SHAPE_NAMES.index("mouth_raise")
    assert free[raised] == pytest.approx(0.6, abs=0.05)
    assert held[raised] == 0.0
    assert held[SHAPE_NAMES.index("jaw_open")] < free[SHAPE_NAMES.index("jaw_open")]


@pytest.mark.parametrize("known", MOTIONS)
def test_pose_is_recovered_for_known_shapes(model, known):
    start = known.copy()
    start[POSE:] = 0.0
    np.testing.assert_allclose(fit_pose(model, model.place(known), start), known, atol=2e-3)


def test_fit_is_the_bounded_optimum(model):
    known = parameters(pose=(0.05, 0.1, -0.05, 0.02, 0.0, 0.0), jaw_open=0.3, smile=-0.3)
    target = model.place(known) + np.random.default_rng(0).normal(0.0, 0.5, (len(POINTS), 2))
    low, high, penalty = mesh_motion._bounds()
    lips = np.isin(POINTS, mesh_motion.LIPS)
    weights = np.where(lips, mesh_motion.LIP_WEIGHT, 1.0) / (model.face.height_px * mesh_motion.LANDMARK_SIGMA)

    def residuals(values):
        return np.concatenate([((model.place(values) - target) * weights[:, None]).ravel(), np.sqrt(penalty) * values])

    start = np.zeros(POSE + 6)
    best = least_squares(residuals, np.clip(start + 1e-6, low + 1e-9, high), bounds=(low - 1e-12, high + 1e-12))
    found = fit_parameters(model, target, start)
    assert np.sum(residuals(found) ** 2) < 1.01 * np.sum(residuals(best.x) ** 2)
    np.testing.assert_allclose(model.place(found), model.place(best.x), atol=0.35)


def test_steps_are_the_bounded_optimum():
    random = np.random.default_rng(0)
    for _ in range(5):
        table, rest = random.standard_normal((40, 6)), 0.3 * random.standard_normal(40)
        low, high = np.full(6, -0.05), np.full(6, 0.04)
        found = bounded_step(table.T @ table, table.T @ rest, low, high)
        np.testing.assert_allclose(found, lsq_linear(table, rest, (low, high), tol=1e-12).x, atol=1e-6)
