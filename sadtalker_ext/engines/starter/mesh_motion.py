"""Measurement of the puppet's shapes and head pose in tracked faces, relative to a neutral face.

The renderer's own model moves the landmarks of the neutral face: the skin by the expression fields, then the head by
rotation and translation. Shapes and pose are fitted together, so that the moved landmarks lie on the tracked ones:
Gauss-Newton steps within the range of each shape, with a penalty on large values. Blinks and gaze are measured from
the eye openings and the irises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.geometry.bounded_step import bounded_step
from sadtalker_ext.geometry.landmarks import LIPS, Landmarks
from sadtalker_ext.geometry.measures import STABLE_POINTS, eye_opening
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.planar_pose import rotation_between
from sadtalker_ext.geometry.rotation import euler_to_matrix, fit_rigid_robust
from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.basis import SHAPE_INDEX, SHAPES
from sadtalker_ext.puppet.expression_fields import LOWER, UPPER, build_fields, clamp_expression, field_weights
from sadtalker_ext.puppet.eyes import GAZE_REACH
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.head import (
    CAMERA_DISTANCE,
    ROTATION_LIMITS_RAD,
    TRANSLATION_LIMIT,
    build_head,
    clamp_pose,
    neck_pivot,
    turn_size,
)
from sadtalker_ext.puppet.warp import Box, Grid

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.geometry.portrait import Portrait

GAZE_COLUMNS: Final = (SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"])
UPPER_LIP: Final = (*topo.MOUTH_UPPER_OUTER, *topo.MOUTH_UPPER_INNER)
LOWER_LIP: Final = (*topo.MOUTH_LOWER_OUTER[1:-1], *topo.MOUTH_LOWER_INNER[1:-1])
BROWS: Final = (*topo.RIGHT_BROW, *topo.LEFT_BROW, 70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
"""Mesh points on the lower and the upper edges of the brows."""
CHIN_AND_JAW: Final = (
    58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 18, 175, 199, 200,
)  # fmt: skip
AROUND_MOUTH: Final = (
    32, 43, 57, 83, 92, 106, 135, 164, 165, 167, 169, 182, 186, 194, 201, 202, 204, 206, 210, 212, 214, 216, 262, 273,
    287, 313, 322, 335, 364, 391, 393, 394, 406, 410, 418, 421, 422, 424, 426, 430, 432, 434, 436,
)  # fmt: skip
"""Mesh points between lips, nose, cheeks and chin."""
POINTS: Final = tuple(dict.fromkeys((*LIPS, *STABLE_POINTS, *CHIN_AND_JAW, *AROUND_MOUTH, *BROWS)))
LIP_WEIGHT: Final = 2.0
"""Weight of the lips' points; viewers look at the mouth."""
LANDMARK_SIGMA: Final = 0.008
"""Standard deviation in face heights of what the model cannot explain: noise of the tracker, and faces that move in
other ways. The penalty on the shapes is relative to it."""


class _Shape(NamedTuple):
    """Shape to fit, and the standard deviation of its coefficient in speech, which scales the penalty."""

    name: str
    sigma: float


FITTED: Final = (
    _Shape("jaw_open", 0.5), _Shape("lips_closed", 0.5), _Shape("pucker", 0.2), _Shape("spread", 0.2),
    _Shape("lip_tuck", 0.3), _Shape("upper_lip_raise", 0.3), _Shape("lower_lip_drop", 0.3), _Shape("smile", 0.5),
    _Shape("brows_up", 0.5), _Shape("brows_down", 0.5), _Shape("mouth_neutral", 2.0),
    _Shape("mouth_raise", 0.5),
)  # fmt: skip
"""Pucker and spread have the smallest deviations, because together they hardly change the landmarks: with 0.5, both
follow the noise of the tracker in pictures of a resting face."""
COLUMNS: Final = tuple(SHAPE_INDEX[shape.name] for shape in FITTED)
POSE_RANGE: Final = (*ROTATION_LIMITS_RAD, *(TRANSLATION_LIMIT,) * 3)
"""Largest pitch, yaw and roll in radians and translations in face heights of ordinary head motion."""
LARGEST_TURN: Final = 0.999
"""Largest ``turn_size``: beyond 1, another head is rendered, whose landmarks move differently. Below 1 for rounding."""
HALVINGS: Final = 5
"""How often a step that would increase the error is halved."""
STEPS: Final = 5
"""Gauss-Newton steps; the last ones change the shapes by less than 0.01."""
POSE_STEPS: Final = 3
"""Steps of a fit of the pose alone."""
DIFFERENCE: Final = 1e-3
"""Change of a parameter for the numerical derivative."""
HEAD_NODES: Final = 48
HEAD_PAD: Final = 0.35
"""Cells and margin, in face heights, of the grid on which the depth of the face is sampled."""
LIDS_REST: Final = 0.92
LIDS_CLOSED: Final = 0.35
"""Eye opening relative to the open eye at which the eyelids count as open and as closed."""
MIN_SCALE: Final = 0.2
"""Lower limit of the head's size relative to the neutral face, which keeps the depth finite."""


@dataclass(frozen=True)
class NeutralFace:
    """A face at rest. mesh: (478, 3) in pixels. open_eyes: opening of the right and left eye, see ``eye_opening``."""

    mesh: Float32Array
    open_eyes: tuple[float, float]


def neutral_of_portrait(portrait: Portrait) -> NeutralFace:
    """Return the face of a portrait as the neutral face."""
    face = portrait.landmarks
    return NeutralFace(face.mesh, (eye_opening(face, "right"), eye_opening(face, "left")))


class LandmarkModel:
    """Where the renderer moves the landmarks :data:`POINTS` of a face, for shapes and pose.

    Parameters are the coefficients of :data:`FITTED`, then rotation (3) in radians and translation (3) in face heights.
    """

    def __init__(self, mesh: Float32Array) -> None:
        self.face = measure_face(mesh)
        at = mesh[list(POINTS), :2].astype(np.float64)
        fields = build_fields(self.face, at[:, None])[..., 0, :]
        t, v = self.face.mouth.axes.local(at)
        below = v >= self.face.mouth.upper(t)
        below = np.where(np.isin(POINTS, UPPER_LIP), False, below | np.isin(POINTS, LOWER_LIP))
        self._fields = np.where(below[None, :, None], fields[LOWER], fields[UPPER])
        self._at = at
        pad = HEAD_PAD * self.face.height_px
        self._head = build_head(self.face, mesh, Grid.cover(Box.around(mesh[:, :2], pad), HEAD_NODES))

    def place(self, parameters: Float64Array) -> Float64Array:
        """Return the landmarks (N, 2), pixels, for parameters (P,)."""
        placed: Float64Array = self._move(self._skin(parameters[None, : len(FITTED)]), parameters)[0]
        return placed

    def derivative(self, parameters: Float64Array, steps: Float64Array) -> Float64Array:
        """Return the derivative (P, N, 2) of :meth:`place` by differences of ``steps`` (P,)."""
        shapes, count = len(FITTED), len(parameters)
        changed = parameters[None, :shapes] + np.concatenate([np.zeros((1, shapes)), np.diag(steps[:shapes])])
        skin = self._skin(changed)
        moved = self._move(skin, parameters)
        posed = [self._move(skin[:1], parameters + steps * (np.arange(count) == k))[0] for k in range(shapes, count)]
        placed = np.concatenate([moved[1:], np.stack(posed)])
        slope: Float64Array = (placed - moved[0]) / steps[:, None, None]
        return slope

    def _skin(self, shapes: Float64Array) -> Float64Array:
        """Return the landmarks (M, N, 2) for coefficients (M, len(FITTED)), before the head moves."""
        expression = np.zeros((len(shapes), len(SHAPES)))
        expression[:, COLUMNS] = shapes
        mouth, unit = self.face.mouth, self.face.height_px
        lips = (mouth.gap_px / unit, mouth.lower_thickness_px / unit, mouth.excess_width)
        weights = field_weights(clamp_expression(expression), *lips)
        skin: Float64Array = self._at + np.einsum("mj,jnc->mnc", weights, self._fields)
        return skin

    def _move(self, skin: Float64Array, parameters: Float64Array) -> Float64Array:
        pose = parameters[len(FITTED) :]
        rotation, translation = clamp_pose(pose[None, :3], pose[None, 3:])
        moved: Float64Array = self._head.move_points(skin, rotation[0], translation[0])
        return moved


class MeshFitter:
    """Measures the motion of one person as shapes of the puppet, relative to a neutral face.

    held: names of shapes of :data:`FITTED` that stay 0.
    """

    held: tuple[str, ...] = ()

    def __init__(self, neutral: NeutralFace) -> None:
        self.neutral = neutral
        self.model = LandmarkModel(neutral.mesh)
        self.face = self.model.face
        self._neutral_gaze = self._gaze_position(neutral.mesh)

    def fit(self, meshes: Float32Array) -> Motion:
        """Return motion (T) of tracked meshes (T, 478, 3); rotation and translation start at the neutral face."""
        expression = np.zeros((len(meshes), len(SHAPES)))
        pose = np.zeros((len(meshes), 6))
        for row, mesh in enumerate(meshes):
            start = np.zeros(len(FITTED) + 6)
            start[len(FITTED) :] = np.concatenate(self.measure_pose(mesh))
            fitted = fit_parameters(self.model, mesh[list(POINTS), :2].astype(np.float64), start, self.held)
            expression[row, COLUMNS] = fitted[: len(FITTED)]
            pose[row] = fitted[len(FITTED) :]
        self._measure_eyes(meshes, expression)
        return Motion(expression.astype(np.float32), pose[:, :3].astype(np.float32), pose[:, 3:].astype(np.float32))

    def _measure_eyes(self, meshes: Float32Array, expression: Float64Array) -> None:
        faces = [Landmarks.from_mesh(mesh, "track") for mesh in meshes]
        for side, at_rest in zip(("right", "left"), self.neutral.open_eyes, strict=True):
            part = np.array([eye_opening(face, "right" if side == "right" else "left") for face in faces]) / at_rest
            closing = np.clip((LIDS_REST - part) / (LIDS_REST - LIDS_CLOSED), 0.0, 1.0)
            expression[:, SHAPE_INDEX[f"blink_{side}"]] = closing
        upright = [align_skull(mesh, self.neutral.mesh) for mesh in meshes]
        gaze = np.array([self._gaze_position(mesh) for mesh in upright]) - self._neutral_gaze
        expression[:, GAZE_COLUMNS] = np.clip(gaze / GAZE_REACH, -1.0, 1.0)

    def _gaze_position(self, mesh: Float32Array | Float64Array) -> Float64Array:
        """Return the mean position (2,) of both irises between the eye corners in half eye widths."""
        positions = []
        for eye, iris in ((topo.RIGHT_EYE_UPPER, topo.RIGHT_IRIS), (topo.LEFT_EYE_UPPER, topo.LEFT_IRIS)):
            corners = mesh[[eye[0], eye[-1]], :2].astype(np.float64)
            half = 0.5 * np.linalg.norm(corners[1] - corners[0])
            positions.append((mesh[iris[0], :2] - corners.mean(axis=0)) / max(float(half), 1e-6))
        across, down = self.face.axes.along, self.face.axes.down
        position = np.mean(positions, axis=0)
        return np.array([position @ across, position @ down])

    def measure_pose(self, mesh: Float32Array) -> tuple[Float64Array, Float64Array]:
        """Return rotation (3,) and translation (3,) of the skull relative to the neutral face."""
        rotation = np.array(rotation_between(mesh, self.neutral.mesh))
        skull = list(STABLE_POINTS)
        neutral, tracked = self.neutral.mesh[skull].astype(np.float64), mesh[skull, :2].astype(np.float64)
        pivot = neck_pivot(self.face, self.neutral.mesh.astype(np.float64))
        rotated = (neutral - pivot) @ euler_to_matrix(rotation).T
        flat = rotated[:, :2] - rotated[:, :2].mean(axis=0)
        centred = tracked - tracked.mean(axis=0)
        scale = float((flat * centred).sum() / np.maximum((flat**2).sum(), 1e-9))
        shift = tracked.mean(axis=0) - pivot[:2] - scale * rotated[:, :2].mean(axis=0)
        height = self.face.height_px
        towards_camera = CAMERA_DISTANCE * (1.0 - 1.0 / max(scale, MIN_SCALE))
        return rotation, np.array([shift[0] / height, shift[1] / height, towards_camera])


def fit_parameters(
    model: LandmarkModel, target: Float64Array, start: Float64Array, held: tuple[str, ...] = ()
) -> Float64Array:
    """Return the parameters (P,) with which ``model`` places its landmarks closest to ``target`` (N, 2), pixels.

    The squared distances in units of :data:`LANDMARK_SIGMA` and the squared shapes in units of their sigma have the
    least sum within the ranges (maximum a posteriori). start: parameters to begin with. held: names of shapes that keep
    the values that they have there.
    """
    low, high, penalty = _bounds()
    free = np.array([k >= len(FITTED) or FITTED[k].name not in held for k in range(len(start))])
    weights = np.where(np.isin(POINTS, LIPS), LIP_WEIGHT, 1.0)[:, None] / (model.face.height_px * LANDMARK_SIGMA)
    found = within_turn(np.clip(start, low, high))

    def error(parameters: Float64Array) -> float:
        return float((((model.place(parameters) - target) * weights) ** 2).sum() + penalty @ parameters**2)

    for _ in range(STEPS):
        steps = np.where(found + DIFFERENCE > high, -DIFFERENCE, DIFFERENCE)
        slope = (model.derivative(found, steps) * weights).reshape(len(found), -1)[free]
        rest = ((target - model.place(found)) * weights).ravel()
        normal = slope @ slope.T + np.diag(penalty[free])
        gradient = slope @ rest - (penalty * found)[free]
        step = np.zeros_like(found)
        step[free] = bounded_step(normal, gradient, (low - found)[free], (high - found)[free])
        lengths = (0.5**halving for halving in range(HALVINGS + 1))
        least = error(found)
        nearer = next((one for length in lengths if error(one := within_turn(found + length * step)) < least), None)
        if nearer is None:
            break
        found = nearer
    return found


def fit_pose(model: LandmarkModel, target: Float64Array, start: Float64Array) -> Float64Array:
    """Return parameters (P,) with the shapes of ``start`` and the pose that :func:`fit_parameters` looks for."""
    weights = np.where(np.isin(POINTS, LIPS), LIP_WEIGHT, 1.0)[:, None]
    found, pose = start.copy(), np.arange(len(FITTED), len(start))
    for _ in range(POSE_STEPS):
        placed = model.place(found)
        changed = [model.place(found + DIFFERENCE * (np.arange(len(found)) == k)) for k in pose]
        slope = np.stack([((one - placed) * weights).ravel() / DIFFERENCE for one in changed], axis=1)
        found[pose] += np.linalg.lstsq(slope, ((target - placed) * weights).ravel(), rcond=None)[0]
        found = within_turn(np.concatenate([found[: pose[0]], np.clip(found[pose], -np.array(POSE_RANGE), POSE_RANGE)]))
    return found


def within_turn(parameters: Float64Array) -> Float64Array:
    """Return parameters (P,) with the rotation scaled down to :data:`LARGEST_TURN`, if it is larger."""
    shapes, rotation, translation = np.split(parameters, [len(FITTED), len(FITTED) + 3])
    return np.concatenate([shapes, rotation / max(float(turn_size(rotation)) / LARGEST_TURN, 1.0), translation])


def _bounds() -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return the lowest and highest parameters (P,), and the factors of their squares in the penalty."""
    shapes = [SHAPES[column] for column in COLUMNS]
    low = np.array([*(shape.low for shape in shapes), *(-limit for limit in POSE_RANGE)])
    high = np.array([*(shape.high for shape in shapes), *POSE_RANGE])
    penalty = np.array([*(shape.sigma**-2 for shape in FITTED), *np.zeros(len(POSE_RANGE))])
    return low, high, penalty


def align_skull(mesh: Float32Array, reference: Float32Array) -> Float64Array:
    """Return a mesh (478, 3) rotated, scaled and translated so that its rigid points match those of ``reference``."""
    skull = list(STABLE_POINTS)
    return fit_rigid_robust(mesh[skull], reference[skull]).apply(mesh.astype(np.float64))
