"""Blend shapes of ARKit: names, values and both file layouts."""

import csv
import io
import json

import numpy as np
import pytest
from puppet_portraits import shape

from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.mesh.blendshapes import ARKIT_NAMES, arkit_weights, time_code, write_csv, write_json
from sadtalker_ext.mesh.targets import target_weights
from sadtalker_ext.puppet.basis import SHAPES


def weights(**coefficients):
    return dict(zip(ARKIT_NAMES, arkit_weights(shape(**coefficients)[None])[0].tolist(), strict=True))


def motion_of(*rows):
    rotation = np.tile(np.float32([[0.1, -0.2, 0.3]]), (len(rows), 1))
    return Motion(np.array(rows), rotation, np.zeros((len(rows), 3), np.float32))


def test_there_are_52_different_names():
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    assert all(name.replace("Left", "Right") in ARKIT_NAMES for name in ARKIT_NAMES)


def test_a_face_at_rest_is_zero():
    assert set(weights().values()) == {0.0}


@pytest.mark.parametrize(
    ("coefficients", "expected"),
    [
        ({"jaw_open": 0.5}, {"jawOpen": 0.4}),
        ({"blink_left": 0.7}, {"eyeBlinkLeft": 0.7}),
        ({"gaze_x": 0.5}, {"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}),
        ({"gaze_x": -0.5}, {"eyeLookInLeft": 0.5, "eyeLookOutRight": 0.5}),
        ({"gaze_y": 1.0}, {"eyeLookDownLeft": 1.0, "eyeLookDownRight": 1.0}),
        ({"pucker": 0.8}, {"mouthPucker": 0.8}),
        ({"pucker": 0.5, "lips_closed": 0.5}, {"mouthPucker": 0.35}),
        ({"jaw_open": 0.6, "pucker": 0.8}, {"jawOpen": 0.48, "mouthFunnel": 0.8}),
        ({"jaw_open": 0.3, "pucker": 0.8}, {"jawOpen": 0.24, "mouthFunnel": 0.4, "mouthPucker": 0.4}),
        (
            {"jaw_open": 0.5, "lip_tuck": 0.6},
            {"jawOpen": 0.4, "mouthClose": 0.12, "mouthRollLower": 0.6, "mouthShrugUpper": 0.18},
        ),
        ({"smile": -0.2}, {"mouthFrownLeft": 0.18, "mouthFrownRight": 0.18}),
        ({"brows_down": 0.3}, {"browDownLeft": 0.12, "browDownRight": 0.12}),
        ({"mouth_raise": 0.4}, {"mouthShrugLower": 0.4, "mouthShrugUpper": 0.4}),
        ({"mouth_raise": -0.4}, {}),
        ({"jaw_open": 0.5, "lips_closed": 0.5}, {"jawOpen": 0.4, "mouthClose": 0.2}),
    ],
)
def test_values(coefficients, expected):
    moved = {name: value for name, value in weights(**coefficients).items() if value}
    assert moved == pytest.approx(expected, abs=1e-6)


LOWER_LIP, UPPER_LIP, CORNER, INNER_BROW, OUTER_BROW = 14, 13, 291, 285, 276
"""Landmarks of the mesh at which the displacements of the table are taken."""
AVATAR_MM = (
    ("jaw_open", LOWER_LIP, "jawOpen", 38.5),
    ("lower_lip_drop", LOWER_LIP, "mouthLowerDownLeft", 7.2),
    ("upper_lip_raise", UPPER_LIP, "mouthUpperUpLeft", 6.8),
    ("smile", CORNER, "mouthSmileLeft", 20.4),
    ("brows_up", INNER_BROW, "browInnerUp", 17.4),
    ("brows_up", OUTER_BROW, "browOuterUpLeft", 12.0),
    ("brows_down", INNER_BROW, "browDownLeft", 9.9),
)
"""Displacement in mm in the plane of the face of the same points of an avatar of Ready Player Me at weight 1. Its face
is 18 cm high. At the middle of the lips, both halves of a shape are added."""


@pytest.mark.parametrize(("shape_name", "landmark", "name", "avatar_mm"), AVATAR_MM)
def test_shapes_move_a_character_as_far_as_the_mesh(renderer, face_mesh, shape_name, landmark, name, avatar_mm):
    value = 0.5
    targets = target_weights(renderer.rig, shape(**{shape_name: value})[None])[0]
    moved = face_mesh.morphed(targets)[landmark] - face_mesh.positions[landmark]
    expected_mm = 1000.0 * np.hypot(*moved[:2])
    assert weights(**{shape_name: value})[name] * avatar_mm == pytest.approx(expected_mm, rel=0.25)


def test_closed_lips_close_what_the_jaw_opens():
    """In ARKit, mouthClose removes the opening of an equal jawOpen."""
    found = weights(jaw_open=0.4, lips_closed=1.0)
    assert found["mouthClose"] == pytest.approx(found["jawOpen"])


def test_values_stay_between_0_and_1():
    rng = np.random.default_rng(3)
    found = arkit_weights(rng.uniform(-2.0, 2.0, (200, len(SHAPES))).astype(np.float32))
    assert found.min() >= 0.0
    assert found.max() <= 1.0


def test_json_has_the_layout_of_audio2face():
    file = io.StringIO()
    write_json(file, motion_of(shape(), shape(jaw_open=0.25)), 25.0)
    found = json.loads(file.getvalue())
    assert (found["exportFps"], found["numPoses"], found["numFrames"]) == (25.0, 52, 2)
    assert found["facsNames"] == list(ARKIT_NAMES)
    assert np.shape(found["weightMat"]) == (2, 52)
    assert found["weightMat"][1][ARKIT_NAMES.index("jawOpen")] == 0.2
    assert found["headRotations"] == [[0.1, -0.2, 0.3]] * 2


def test_csv_has_the_layout_of_live_link_face():
    file = io.StringIO(newline="")
    write_csv(file, motion_of(*[shape(jaw_open=0.25)] * 27), 25.0)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert list(rows[0])[:4] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft", "EyeLookDownLeft"]
    assert len(rows[0]) == 63
    assert (rows[0]["BlendShapeCount"], float(rows[0]["JawOpen"])) == ("61", 0.2)
    assert [float(rows[0][name]) for name in ("HeadYaw", "HeadPitch", "HeadRoll")] == [-0.2, 0.1, 0.3]
    assert [rows[index]["Timecode"] for index in (0, 1, 26)] == [
        "00:00:00:00.000",
        "00:00:00:01.000",
        "00:00:01:01.000",
    ]


def test_time_codes_of_other_rates():
    assert time_code(90_030, 30.0) == "00:50:01:00.000"
    assert time_code(3, 12.5) == "00:00:00:03.000"
    assert time_code(25 * 7199 + 24, 25.0) == "01:59:59:24.000"
