"""The mesh against the renderer's own landmarks; what must be closed is closed; nothing shows through the skin."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from puppet_portraits import STILL, shape

from sadtalker_ext.mesh.face_mesh import FACE_HEIGHT_M
from sadtalker_ext.mesh.skin import below_mouth, skin_points
from sadtalker_ext.mesh.targets import TARGET_NAMES, target_weights
from sadtalker_ext.mesh.topology import EYE_CONTOURS, LOWER_EDGE, LOWER_LIP, SKIN_VERTICES, UPPER_EDGE
from sadtalker_ext.puppet.basis import SHAPES
from sadtalker_ext.puppet.expression_fields import JAW_DROP, TUCK_LIFT, TUCK_RAISE, TUCK_ROLL

EXPRESSIONS = {
    "rest": {},
    "open": {"jaw_open": 1.0},
    "rounded": {"jaw_open": 0.3, "pucker": 1.0},
    "broad": {"spread": 1.0, "smile": 1.0},
    "bared": {"jaw_open": 0.6, "spread": 0.6, "lower_lip_drop": 1.0, "upper_lip_raise": 1.0},
    "pressed": {"lips_closed": 1.0, "jaw_open": 0.5},
    "tucked": {"lip_tuck": 1.0, "jaw_open": 0.2},
    "neutral": {"mouth_neutral": 1.0, "brows_up": 1.0},
    "frown": {"smile": -0.5, "brows_down": 1.0},
    "narrow": {"jaw_open": 0.5, "spread": -0.5},
}
VIEWS = ((0, 0), (0, 30), (0, -30), (20, 0), (-20, 0))


def weights_for(renderer, **coefficients):
    return target_weights(renderer.rig, shape(**coefficients)[None])[0]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_skin_moves_as_the_renderer_moves_it(renderer, landmarks, face_mesh, name):
    rig = renderer.rig
    at_rest = skin_points(landmarks, rig.face)
    moved = renderer.place_points(
        at_rest[:, :2].astype(np.float32), below_mouth(at_rest, rig.face), (shape(**EXPRESSIONS[name]), STILL, STILL)
    )
    positions = face_mesh.morphed(weights_for(renderer, **EXPRESSIONS[name]))[:SKIN_VERTICES]
    pixels = positions / FACE_HEIGHT_M * rig.face.height_px
    found = rig.head.pivot[:2] + pixels[:, :2] * [1.0, -1.0]
    error = np.abs(found - moved).max(axis=1) / rig.face.height_px
    if "lip_tuck" in EXPRESSIONS[name]:
        error[[vertex for row in LOWER_LIP[2:] for vertex in row]] = 0.0  # rolled in, see below
    assert error.max() < 1e-4


def test_a_tucked_lip_rises_and_its_edge_rolls_in(renderer, face_mesh):
    """The visible edge rises by the lift alone, as the mouth of the renderer does; the lip below it rises more."""
    rest, moved = (face_mesh.morphed(weights_for(renderer, **k)) for k in ({}, {"lip_tuck": 1.0}))
    up = (moved - rest)[:, 1] / FACE_HEIGHT_M
    mouth, unit = renderer.rig.face.mouth, renderer.rig.face.height_px
    assert up[14] == pytest.approx(TUCK_LIFT, abs=1.5e-3)
    assert up[17] > TUCK_LIFT + 0.5 * TUCK_ROLL * mouth.lower_thickness_px / unit
    assert (moved - rest)[14, 2] < -0.01 * FACE_HEIGHT_M


def test_a_tucked_lip_closes_the_jaw_without_the_upper_lip(renderer, face_mesh):
    """In f and v the lower lip rises to the teeth: the upper lip rises as without the jaw, and does not cover them."""
    shut, tucked, jaw, both = (
        face_mesh.morphed(weights_for(renderer, **k)) / FACE_HEIGHT_M
        for k in ({}, {"lip_tuck": 1.0}, {"jaw_open": 0.6}, {"jaw_open": 0.6, "lip_tuck": 1.0})
    )
    assert both[13, 1] - jaw[13, 1] == pytest.approx(tucked[13, 1] - shut[13, 1], abs=1e-3)
    closed = (jaw[13, 1] - jaw[14, 1]) - (both[13, 1] - both[14, 1])
    opening = 0.5 * (0.6 * JAW_DROP + TUCK_RAISE - TUCK_LIFT)  # as sadtalker_ext.metrics.sync.mouth_opening has it
    assert closed == pytest.approx(0.6 * JAW_DROP - opening, abs=1.5e-3)


def openings(points, size):
    """Pixels (H, W) within two pixels of the cut between the lips and of the eyes."""
    inside = np.zeros((size, size), np.uint8)
    eyes = [(*contour[:9], *contour[9:][::-1]) for contour in EYE_CONTOURS]
    for border in ((*UPPER_EDGE, *LOWER_EDGE[::-1]), *eyes):
        cv2.fillPoly(inside, [np.rint(points[list(border), :2]).astype(np.int32)], 1)
    return cv2.dilate(inside, np.ones((5, 5), np.uint8)) > 0


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_nothing_shows_through_the_skin_and_there_are_no_holes(renderer, draw, name):
    weights = weights_for(renderer, **EXPRESSIONS[name])
    for view in VIEWS if name in ("rest", "bared") else VIEWS[:2]:
        shown, names, points = draw(weights, *view)
        interior = shown >= names.index("socket_left")
        assert (interior & ~openings(points, len(shown))).sum() <= 2, view
        empty = (shown < 0).astype(np.uint8)
        _, labels = cv2.connectedComponents(empty, connectivity=4)
        assert ((labels != labels[0, 0]) & (empty > 0)).sum() == 0, view


@pytest.mark.parametrize("view", VIEWS[:3])
def test_closed_eyes_show_no_eyeball(renderer, draw, view):
    shown, names, _ = draw(weights_for(renderer, blink_left=1.0, blink_right=1.0), *view)
    assert np.isin(shown, [names.index("eye_left"), names.index("eye_right")]).sum() <= 2


def test_blinks_are_those_of_the_named_eye(renderer, draw):
    shown, names, _ = draw(weights_for(renderer, blink_left=1.0))
    assert (shown == names.index("eye_left")).sum() == 0
    assert (shown == names.index("eye_right")).sum() > 20


def test_open_mouth_shows_teeth_and_cavity(renderer, draw):
    shown, names, _ = draw(weights_for(renderer, jaw_open=0.6, upper_lip_raise=0.5))
    seen = {names[index] for index in np.unique(shown[shown >= 0])}
    assert {"mouth", "teeth_upper", "tongue"} <= seen


def test_gaze_moves_the_iris_to_the_right_of_the_viewer(renderer, face_mesh):
    eye = face_mesh.parts["eye_left"]
    moved = face_mesh.targets[TARGET_NAMES.index("look_left"), eye]
    assert moved[:, 0].max() == pytest.approx(0.26 * renderer.rig.face.left_eye.half_px * FACE_HEIGHT_M
                                              / renderer.rig.face.height_px, rel=0.05)  # fmt: skip
    assert np.abs(moved[:, 1]).max() < 0.2 * moved[:, 0].max()


def test_opposite_gazes_have_separate_targets_and_weights_that_are_not_negative(renderer, face_mesh):
    """Blender and Unity limit weights to 0 to 1."""
    eye = face_mesh.parts["eye_left"]
    for there, back in (("look_left", "look_right"), ("look_down", "look_up")):
        moved, opposite = (face_mesh.targets[TARGET_NAMES.index(name), eye, :2] for name in (there, back))
        np.testing.assert_allclose(moved, -opposite, atol=1e-7)
    weights = weights_for(renderer, gaze_x=-0.5, gaze_y=-0.3, lip_tuck=1.0, lower_lip_drop=0.2)
    named = dict(zip(TARGET_NAMES, weights.tolist(), strict=True))
    assert min(weights) >= 0.0
    assert named["look_right"] == pytest.approx(0.5)
    assert named["look_up"] == pytest.approx(0.3)
    assert named["look_left"] == named["look_down"] == 0.0
    assert named["lower_lip_drop"] == pytest.approx(0.2)


def test_weights_of_the_mouth_stay_within_the_limits_of_other_programs(renderer, face_mesh):
    """Of all shapes within their ranges; at most 13 targets of a mesh move at once, as many as old Babylon.js moves."""
    draws = np.random.default_rng(0).random((2000, len(SHAPES)))
    low, high = (np.array([getattr(shape, name) for shape in SHAPES]) for name in ("low", "high"))
    corners = np.where(draws < 0.4, low, np.where(draws > 0.6, high, low + (high - low) * draws))
    weights = target_weights(renderer.rig, corners.astype(np.float32))
    named = dict(zip(TARGET_NAMES, weights.T, strict=True))
    face = renderer.rig.face
    smiling = replace(renderer.rig, face=replace(face, mouth=replace(face.mouth, excess_width=0.4)))
    assert max(weights.max(), target_weights(smiling, corners.astype(np.float32)).max()) <= 1.001
    assert named["lips_closed"].max() > 0.9
    beyond = dict.fromkeys(("brows_up", "brows_down"), 9.0)
    assert max(weights_for(renderer, **beyond)) <= 1.001
    assert weights.min() >= 0.0
    for there, back in (("spread", "narrow"), ("smile", "frown"), ("mouth_raise", "mouth_lower")):
        assert not (named[there] * named[back]).any()
        assert min(named[there].max(), named[back].max()) > 0.3, (there, back)
    assert max((weights[:, list(group.targets)] != 0.0).sum(axis=1).max() for group in face_mesh.groups) <= 13


def test_normals_have_length_one_and_face_the_viewer(face_mesh):
    assert np.allclose(np.linalg.norm(face_mesh.normals, axis=1), 1.0, atol=1e-5)
    assert face_mesh.normals[4, 2] > 0.5  # the tip of the nose
    a, b, c = (face_mesh.positions[face_mesh.triangles[:732, corner]] for corner in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > 0.0).mean() > 0.95


def test_texture_shows_the_portrait_at_rest(renderer, landmarks, face_mesh):
    height, width = face_mesh.texture.shape[:2]
    nose = face_mesh.uv[4] * [width, height] - 0.5
    at = np.rint(landmarks[4, :2]).astype(int)
    expected = renderer.rig.picture[at[1], at[0]].astype(int)
    found = face_mesh.texture[tuple(np.rint(nose).astype(int)[::-1])].astype(int)
    assert np.abs(found - expected).max() <= 8
    assert face_mesh.uv.min() >= 0.0
    assert face_mesh.uv.max() <= 1.0


def test_jaw_turns_about_its_hinge(face_mesh):
    """The chin moves down and back, the upper lip stays."""
    moved = face_mesh.targets[TARGET_NAMES.index("jaw_open")]
    assert moved[152, 1] < -0.15 * FACE_HEIGHT_M
    assert moved[152, 2] < -0.03 * FACE_HEIGHT_M
    assert np.abs(moved[0]).max() < 0.03 * FACE_HEIGHT_M


def test_covered_mouth_does_not_move(landmarks):
    from puppet_portraits import picture_of

    from sadtalker_ext.puppet.renderer import PortraitRenderer

    covered = PortraitRenderer(picture_of("astronaut"), landmarks, mouth_covered=True)
    weights = target_weights(covered.rig, shape(jaw_open=1.0, blink_left=1.0)[None])[0]
    moving = {name for name, weight in zip(TARGET_NAMES, weights, strict=True) if weight != 0.0}
    assert moving == {"blink_left"}


def test_upper_teeth_keep_their_place_below_the_lip_where_a_smile_closes(renderer, face_mesh):
    """The portrait shows its teeth; in speech, which starts from the closed mouth, as much of them is below the lip."""
    assert renderer.rig.mouth.gap > 0.0
    moved = face_mesh.targets[TARGET_NAMES.index("mouth_neutral")]
    teeth = moved[face_mesh.parts["teeth_upper"]]
    np.testing.assert_allclose(teeth, np.broadcast_to(teeth[0], teeth.shape), atol=1e-7)
    np.testing.assert_allclose(teeth[0, :2], moved[13, :2], atol=0.003 * FACE_HEIGHT_M)


def test_upper_lip_shades_the_teeth(face_mesh):
    """The brightest teeth 2 mm below the edge of the lip are darker than those 6 mm below it."""
    height, width = face_mesh.texture.shape[:2]
    row = face_mesh.parts["teeth_upper"]
    at = np.rint(face_mesh.uv[row] * [width, height] - 0.5).astype(int)
    light = face_mesh.texture[at[:, 1], at[:, 0]].mean(axis=1)
    below = face_mesh.positions[13, 1] - face_mesh.positions[row, 1]
    middle = np.abs(face_mesh.positions[row, 0] - np.median(face_mesh.positions[row, 0])) < 0.004
    near, far = (light[middle & (np.abs(below - distance) < 0.0006)].max() for distance in (0.0016, 0.0055))
    assert near < 0.85 * far


def test_lower_lip_covers_the_lower_teeth_until_it_drops(renderer, face_mesh):
    """The edge of the lower incisors is within 1 mm below that of the lip, and above it where the lip alone drops."""
    row = face_mesh.parts["teeth_lower"]
    middle = np.abs(face_mesh.positions[row, 0] - face_mesh.positions[14, 0]) < 0.005

    def above_lip(weights):
        moved = face_mesh.morphed(weights)
        return float(moved[row][middle, 1].max() - moved[14, 1])

    rest, dropped = (above_lip(weights_for(renderer, lower_lip_drop=drop)) for drop in (0.0, 1.0))
    assert -0.001 < rest < 0.0
    assert dropped > 0.002
