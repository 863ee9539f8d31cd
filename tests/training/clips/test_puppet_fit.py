"""Motion measured from landmarks against the motion that the frames were rendered with."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_videos import astronaut, talk

from sadtalker_ext.engines.starter.mesh_motion import NeutralFace
from sadtalker_ext.faces.find import track_faces
from sadtalker_ext.geometry.landmarks import Landmarks
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.geometry.measures import eye_opening
from sadtalker_ext.puppet.basis import SHAPE_INDEX
from sadtalker_ext.puppet.expression_fields import JAW_DROP, LIP_DROP, LIP_RAISE
from sadtalker_ext.training.clips.practice_render import render_frames
from sadtalker_ext.training.clips.puppet_fit import PuppetFitter, find_neutral

FRAMES = 120
GAP = 0.03
"""Lip opening of the smiling demo portrait in face heights."""


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Rendered motion, motion measured in the frames, and the tracked meshes."""
    actor = astronaut(tmp_path_factory.mktemp("actor"))
    rendered = talk(actor, FRAMES, seed=5)
    faces = list(track_faces(render_frames(actor, rendered)))
    assert all(faces)
    meshes = np.stack([face.mesh for face in faces])
    return rendered.motion, PuppetFitter(neutral_of_portrait(meshes[0])).fit(meshes), meshes


def neutral_of_portrait(mesh):
    face = Landmarks.from_mesh(mesh, "portrait")
    return NeutralFace(mesh, (eye_opening(face, "right"), eye_opening(face, "left")))


def correlation(rendered, measured):
    return float(np.corrcoef(rendered, measured)[0, 1])


def column(motion, name):
    return motion.expression[:, SHAPE_INDEX[name]]


@pytest.mark.parametrize(
    ("name", "least"),
    [("jaw_open", 0.7), ("blink_left", 0.85), ("blink_right", 0.85), ("gaze_x", 0.5)],
)
def test_shapes_are_recovered(known, name, least):
    assert column(known[0], name).std() > 0.03
    assert correlation(column(known[0], name), column(known[1], name)) > least


def test_mouth_opening_is_recovered(known):
    def opening(motion):
        parted = (
            JAW_DROP * column(motion, "jaw_open")
            + LIP_DROP * column(motion, "lower_lip_drop")
            + LIP_RAISE * column(motion, "upper_lip_raise")
        )
        closed = 1 - column(motion, "lips_closed")
        return (parted + GAP * (1 - column(motion, "mouth_neutral"))) * closed

    assert correlation(opening(known[0]), opening(known[1])) > 0.8


@pytest.mark.parametrize(("axis", "least"), [(0, 0.85), (1, 0.95), (2, 0.95)])
def test_rotation_is_recovered_with_its_amplitude(known, axis, least):
    rendered, measured = known[0].rotation[:, axis], known[1].rotation[:, axis]
    assert correlation(rendered, measured) > least
    rendered, measured = rendered - rendered.mean(), measured - measured.mean()
    assert 0.7 < float(rendered @ measured / (rendered @ rendered)) < 1.4


@pytest.mark.parametrize("axis", [0, 1])
def test_translation_is_recovered(known, axis):
    assert correlation(known[0].translation[:, axis], known[1].translation[:, axis]) > 0.7


def test_neutral_face_is_found(known):
    rendered, _, meshes = known
    neutral = find_neutral(meshes)
    measured = PuppetFitter(neutral).fit(meshes)
    for name in ("jaw_open", "blink_left"):
        assert correlation(column(rendered, name), column(measured, name)) > 0.65
    again = PuppetFitter(neutral).fit(neutral.mesh[None])
    assert np.abs(again.rotation).max() < 1e-3
    assert np.abs(again.translation).max() < 0.01
    assert again.expression[0, [SHAPE_INDEX["jaw_open"], SHAPE_INDEX["smile"]]].max() < 0.02


def test_values_stay_within_ranges(known):
    expression = known[1].expression
    signed = [SHAPE_INDEX[name] for name in ("smile", "gaze_x", "gaze_y")]
    rest = [column for column in range(expression.shape[1]) if column not in signed]
    assert expression[:, rest].min() >= 0
    assert np.abs(expression).max() <= 1


def test_rigid_motion_has_no_expression():
    from sadtalker_ext.geometry.rotation import euler_to_matrix

    face = mean_face_mesh().astype(np.float64) * 200
    fitter = PuppetFitter(neutral_of_portrait(face.astype(np.float32)))
    angles = np.array([0.15, -0.2, 0.1])
    turned = face @ euler_to_matrix(angles).T + [12, -7, 0]
    measured = fitter.fit(turned.astype(np.float32)[None])
    np.testing.assert_allclose(measured.rotation[0], angles, atol=0.01)
    assert np.abs(measured.expression).max() < 0.05
