"""Motion read from landmarks against the motion that made the pictures."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_videos import astronaut, talk

from sadtalker_ext.faces.find import track_faces
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.puppet.basis import SHAPE_INDEX
from sadtalker_ext.puppet.expression_fields import JAW_DROP, LIP_DROP, LIP_RAISE
from sadtalker_ext.training.clips.practice import render
from sadtalker_ext.training.clips.puppet_fit import (
    PuppetReader,
    bounded_weights,
    find_neutral,
    neutral_of_portrait,
)

FRAMES = 120
GAP = 0.03
"""Of the astronaut's lips, who smiles, in face heights."""


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Motion and what is read from the pictures that it makes."""
    actor = astronaut(tmp_path_factory.mktemp("actor"))
    moved = talk(actor, FRAMES, seed=5)
    faces = list(track_faces(render(actor, moved)))
    assert all(faces)
    meshes = np.stack([face.mesh for face in faces])
    return moved.motion, PuppetReader(neutral_of_portrait(meshes[0])).read(meshes), meshes


def likeness(told, read):
    return float(np.corrcoef(told, read)[0, 1])


def column(motion, name):
    return motion.expression[:, SHAPE_INDEX[name]]


@pytest.mark.parametrize(
    ("name", "least"),
    [("jaw_open", 0.7), ("blink_left", 0.85), ("blink_right", 0.85), ("gaze_x", 0.5)],
)
def test_shapes_come_back(known, name, least):
    assert column(known[0], name).std() > 0.03
    assert likeness(column(known[0], name), column(known[1], name)) > least


def test_the_opening_of_the_mouth_comes_back(known):
    def opening(motion):
        parted = (
            JAW_DROP * column(motion, "jaw_open")
            + LIP_DROP * column(motion, "lower_lip_drop")
            + LIP_RAISE * column(motion, "upper_lip_raise")
        )
        closed = 1 - column(motion, "lips_closed")
        return (parted + GAP * (1 - column(motion, "mouth_neutral"))) * closed

    assert likeness(opening(known[0]), opening(known[1])) > 0.8


@pytest.mark.parametrize(("axis", "least"), [(0, 0.85), (1, 0.95), (2, 0.95)])
def test_turns_come_back_in_size_too(known, axis, least):
    told, read = known[0].rotation[:, axis], known[1].rotation[:, axis]
    assert likeness(told, read) > least
    told, read = told - told.mean(), read - read.mean()
    assert 0.7 < float(told @ read / (told @ told)) < 1.4


@pytest.mark.parametrize("axis", [0, 1])
def test_shifts_come_back(known, axis):
    assert likeness(known[0].translation[:, axis], known[1].translation[:, axis]) > 0.7


def test_the_neutral_face_is_found_without_being_told(known):
    told, _, meshes = known
    neutral = find_neutral(meshes)
    read = PuppetReader(neutral).read(meshes)
    for name in ("jaw_open", "blink_left"):
        assert likeness(column(told, name), column(read, name)) > 0.65
    again = PuppetReader(neutral).read(neutral.mesh[None])
    assert np.abs(again.rotation).max() < 1e-3
    assert np.abs(again.translation).max() < 0.01
    assert again.expression[0, [SHAPE_INDEX["jaw_open"], SHAPE_INDEX["smile"]]].max() < 0.02


def test_values_keep_to_the_ranges(known):
    expression = known[1].expression
    signed = [SHAPE_INDEX[name] for name in ("smile", "gaze_x", "gaze_y")]
    rest = [column for column in range(expression.shape[1]) if column not in signed]
    assert expression[:, rest].min() >= 0
    assert np.abs(expression).max() <= 1


def test_a_face_that_only_turns_and_shifts_has_no_expression():
    from sadtalker_ext.geometry.rotation import euler_to_matrix

    face = mean_face_mesh().astype(np.float64) * 200
    reader = PuppetReader(neutral_of_portrait(face.astype(np.float32)))
    angles = np.array([0.15, -0.2, 0.1])
    turned = face @ euler_to_matrix(angles).T + [12, -7, 0]
    read = reader.read(turned.astype(np.float32)[None])
    np.testing.assert_allclose(read.rotation[0], angles, atol=0.01)
    assert np.abs(read.expression).max() < 0.05


def test_weights_are_the_best_within_their_ranges():
    from scipy.optimize import lsq_linear

    from sadtalker_ext.training.clips.puppet_fit import _WEIGHTS, RIDGE

    random = np.random.default_rng(0)
    basis = random.standard_normal((len(_WEIGHTS), 40)) * 0.2
    moved = random.standard_normal((5, 40)) * 0.3
    _, low, high, doubt = np.array(list(_WEIGHTS.values())).T
    found = bounded_weights(basis, moved)
    for row, weights in zip(moved, found, strict=True):
        table = np.concatenate([basis.T, np.diag(np.sqrt(RIDGE * doubt))])
        wanted = lsq_linear(table, np.concatenate([row, np.zeros(len(doubt))]), (low, high), tol=1e-12).x
        np.testing.assert_allclose(weights, wanted, atol=1e-4)
