"""Measurement of the puppet's shapes and head pose in tracked faces, relative to a neutral face.

The expression fields of the face (puppet/expression_fields.py) are evaluated at landmarks of its neutral frame; their
weights are fitted by least squares within the range of each shape. Blinks and gaze are measured from the eye openings
and the irises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.engines.sadtalker.coefficients import EXPRESSION, from_motion
from sadtalker_ext.engines.sadtalker.puppet_coefficients import clip_coefficients, portrait_rotation
from sadtalker_ext.geometry.landmarks import Landmarks
from sadtalker_ext.geometry.measures import STABLE_POINTS, eye_opening, mouth_opening
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.planar_pose import rotation_between
from sadtalker_ext.geometry.rotation import euler_to_matrix, fit_rigid_robust
from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.basis import SHAPE_INDEX, SHAPES
from sadtalker_ext.puppet.expression_fields import (
    FIELD_NAMES,
    JAW_DROP,
    LIP_DROP,
    LIP_RAISE,
    LOWER,
    TUCK_LIFT,
    TUCK_ROLL,
    UPPER,
    build_fields,
)
from sadtalker_ext.puppet.eyes import GAZE_REACH
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.head import CAMERA_DISTANCE, neck_pivot
from sadtalker_ext.training.clips.shape_columns import GAZE_COLUMNS

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

EYE_CORNERS: Final = (33, 133, 362, 263)
"""Mesh points of the corners of the right and left eye, outer right first, outer left last."""
_UPPER_POINTS: Final = (*topo.MOUTH_UPPER_OUTER, *topo.MOUTH_UPPER_INNER, *topo.RIGHT_BROW, *topo.LEFT_BROW)
_LOWER_POINTS: Final = (
    *topo.MOUTH_LOWER_OUTER[1:-1], *topo.MOUTH_LOWER_INNER[1:-1], 152, 148, 377, 176, 400, 199, 200,
)  # fmt: skip
"""Mesh points of lips, brows and chin. Those of the lower lip and chin follow the lower layer of the puppet."""


class _Field(NamedTuple):
    """Field to fit. unit: size of the field at weight 1. low, high: range of the weight. penalty: factor on RIDGE."""

    unit: float
    low: float
    high: float
    penalty: float


_FIELDS: Final = {
    "jaw": _Field(JAW_DROP, 0.0, 1.0, 1.0),
    "part_lower": _Field(LIP_DROP, -1.0, 1.0, 30.0),
    "part_upper": _Field(LIP_RAISE, 0.0, 1.0, 30.0),
    "close_opened": _Field(JAW_DROP, 0.0, 1.0, 100.0),
    "close_source": _Field(1.0, 0.0, 1.0, 1.0),
    "pucker": _Field(1.0, 0.0, 1.0, 1.0),
    "spread": _Field(1.0, 0.0, 1.0, 1.0),
    "smile": _Field(1.0, -0.5, 1.0, 1.0),
    "brows_up": _Field(1.0, 0.0, 1.0, 1.0),
    "brows_down": _Field(1.0, 0.0, 1.0, 1.0),
}
RIDGE: Final = 2e-4
"""Weight of the penalty in the ridge regression; a higher penalty of the lips makes the fit open the mouth by the jaw.

Chosen so that known motion is recovered best.
"""
SWEEPS: Final = 120
"""Iterations of the coordinate descent."""
MIN_LIP_OPENING: Final = 0.012
"""Lip opening in face heights below which ``lips_closed`` cannot be measured reliably."""
LIDS_REST: Final = 0.92
LIDS_CLOSED: Final = 0.35
"""Eye opening relative to the open eye at which the eyelids count as open and as closed."""
MIN_SCALE: Final = 0.2
"""Lower limit of the head's size relative to the neutral face, which keeps the depth finite."""
OPEN_EYE_QUANTILE: Final = 0.8
"""Quantile of the eye openings of a video that counts as the open eye."""
CLOSED_MOUTH_QUANTILE: Final = 0.05
"""Quantile of the mouth openings of a video that counts as the closed mouth."""
NEUTRAL_SHARE: Final = 0.04
MIN_NEUTRAL_FRAMES: Final = 3
"""The neutral face is the mean of this part of the frames, aligned with each other."""
MOUTH_TOLERANCE: Final = 0.05
TURN_TOLERANCE_RAD: Final = 0.15
EYE_TOLERANCE: Final = 0.15
BROW_TOLERANCE: Final = 0.05
"""Deviations that count equally when the most neutral frames are selected."""


@dataclass(frozen=True)
class NeutralFace:
    """A face at rest. mesh: (478, 3) in pixels. open_eyes: opening of the right and left eye, see ``eye_opening``."""

    mesh: Float32Array
    open_eyes: tuple[float, float]


def find_neutral(meshes: Float32Array) -> NeutralFace:
    """Return the most neutral face in meshes (T, 478, 3): mouth closed, eyes open, brows relaxed, head frontal."""
    faces = [Landmarks.from_mesh(mesh, "track") for mesh in meshes]
    eyes = np.array([(eye_opening(face, "right"), eye_opening(face, "left")) for face in faces])
    open_eyes = np.maximum(np.quantile(eyes, OPEN_EYE_QUANTILE, axis=0), 1e-3)
    mouth = np.array([mouth_opening(face) for face in faces])
    turned = np.array([np.linalg.norm(portrait_rotation(mesh)[:2]) for mesh in meshes])
    brows = np.array([_brow_height(mesh) for mesh in meshes])
    strain = (
        np.maximum(mouth - np.quantile(mouth, CLOSED_MOUTH_QUANTILE), 0.0) / MOUTH_TOLERANCE
        + turned / TURN_TOLERANCE_RAD
        + np.abs(1.0 - (eyes / open_eyes).mean(axis=1)) / EYE_TOLERANCE
        + np.abs(brows - np.median(brows)) / BROW_TOLERANCE
    )
    count = max(MIN_NEUTRAL_FRAMES, round(NEUTRAL_SHARE * len(meshes)))
    best = np.argsort(strain, kind="stable")[:count]
    chosen = [align_skull(meshes[index], meshes[best[0]]) for index in best]
    return NeutralFace(np.mean(chosen, axis=0).astype(np.float32), (float(open_eyes[0]), float(open_eyes[1])))


class PuppetFitter:
    """Measures the motion of one person as shapes of the puppet, relative to a neutral face."""

    def __init__(self, neutral: NeutralFace) -> None:
        self.neutral = neutral
        self.face = measure_face(neutral.mesh)
        points = [*_UPPER_POINTS, *_LOWER_POINTS]
        self._points = points
        at = neutral.mesh[points, :2].astype(np.float64)
        fields = build_fields(self.face, at[:, None])[..., 0, :] / self.face.height_px
        below = np.arange(len(points)) >= len(_UPPER_POINTS)
        chosen = np.where(below[None, :, None], fields[LOWER], fields[UPPER])
        rows = [chosen[FIELD_NAMES.index(name)] * unit for name, (unit, *_) in _FIELDS.items()]
        self._basis = np.stack(rows).reshape(len(rows), -1)
        self._neutral_gaze = self._gaze_position(neutral.mesh)

    def fit(self, meshes: Float32Array) -> Motion:
        """Return motion (T, 15) of tracked meshes (T, 478, 3); rotation and translation start at the neutral face."""
        upright = np.stack([align_skull(mesh, self.neutral.mesh) for mesh in meshes])
        expression = np.zeros((len(meshes), len(SHAPES)))
        self._fit_skin(upright, expression)
        self._measure_eyes(meshes, upright, expression)
        pose = [self._measure_pose(mesh) for mesh in meshes]
        rotation, translation = (np.array(part, np.float32) for part in zip(*pose, strict=True))
        return Motion(expression.astype(np.float32), rotation, translation)

    def measure_coefficients(self, meshes: Float32Array, crop: Float32Array) -> Float32Array:
        """Return coefficients (T, 73) of tracked meshes (T, 478, 3); crop: (3,) of the clip."""
        rotation, translation = portrait_rotation(self.neutral.mesh)[None], np.zeros((1, 3), np.float32)
        source = from_motion(Motion(np.zeros((1, EXPRESSION.stop), np.float32), rotation, translation))[0]
        return clip_coefficients(self.fit(meshes), np.concatenate((source, crop)))

    def _fit_skin(self, upright: Float64Array, expression: Float64Array) -> None:
        moved = (upright[:, self._points, :2] - self.neutral.mesh[self._points, :2]) / self.face.height_px
        weights = bounded_weights(self._basis, moved.reshape(len(moved), -1))
        value = dict(zip(_FIELDS, weights.T, strict=True))
        lower_lip = self.face.mouth.lower_thickness_px / self.face.height_px
        drop, tuck = np.maximum(value["part_lower"], 0.0), np.maximum(-value["part_lower"], 0.0)
        opened = JAW_DROP * value["jaw"] + LIP_DROP * drop + LIP_RAISE * value["part_upper"]
        held = np.clip(value["close_opened"] * JAW_DROP / np.maximum(opened, MIN_LIP_OPENING), 0.0, 1.0)
        shapes = {
            "mouth_neutral": np.clip(1.0 - (1.0 - value["close_source"]) / np.maximum(1.0 - held, 0.1), 0.0, 1.0),
            "jaw_open": value["jaw"],
            "lips_closed": held,
            "lower_lip_drop": drop,
            "lip_tuck": np.clip(tuck * LIP_DROP / (TUCK_LIFT + TUCK_ROLL * lower_lip), 0.0, 1.0),
            "upper_lip_raise": value["part_upper"],
            **{name: value[name] for name in ("pucker", "spread", "smile", "brows_up", "brows_down")},
        }
        for name, track in shapes.items():
            expression[:, SHAPE_INDEX[name]] = track

    def _measure_eyes(self, meshes: Float32Array, upright: Float64Array, expression: Float64Array) -> None:
        faces = [Landmarks.from_mesh(mesh, "track") for mesh in meshes]
        for side, at_rest in zip(("right", "left"), self.neutral.open_eyes, strict=True):
            part = np.array([eye_opening(face, "right" if side == "right" else "left") for face in faces]) / at_rest
            closing = np.clip((LIDS_REST - part) / (LIDS_REST - LIDS_CLOSED), 0.0, 1.0)
            expression[:, SHAPE_INDEX[f"blink_{side}"]] = closing
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

    def _measure_pose(self, mesh: Float32Array) -> tuple[Float64Array, Float64Array]:
        """Return rotation (3,) and translation (3,) relative to the neutral face."""
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


def bounded_weights(basis: Float64Array, moved: Float64Array) -> Float64Array:
    """Return weights (T, J) within their ranges for which ``weights @ basis`` (J, N) is closest to ``moved`` (T, N).

    Ridge regression by coordinate descent (Hildreth 1957), for all frames at once.
    """
    _, low, high, penalty = np.array(list(_FIELDS.values())).T
    gram = basis @ basis.T + RIDGE * np.diag(penalty)
    projected = moved @ basis.T
    weights = np.zeros_like(projected)
    for _ in range(SWEEPS):
        for j in range(len(basis)):
            rest = projected[:, j] - weights @ gram[j] + weights[:, j] * gram[j, j]
            weights[:, j] = np.clip(rest / gram[j, j], low[j], high[j])
    return weights


def align_skull(mesh: Float32Array, reference: Float32Array) -> Float64Array:
    """Return a mesh (478, 3) rotated, scaled and translated so that its rigid points match those of ``reference``."""
    skull = list(STABLE_POINTS)
    return fit_rigid_robust(mesh[skull], reference[skull]).apply(mesh.astype(np.float64))


def _brow_height(mesh: Float32Array) -> float:
    """Return the height of the brows above the eyes in eye distances."""
    brows = mesh[[*topo.RIGHT_BROW, *topo.LEFT_BROW]].mean(axis=0)
    corners = mesh[list(EYE_CORNERS)]
    distance = max(float(np.linalg.norm(corners[0] - corners[3])), 1e-6)
    return float(np.linalg.norm(brows - corners.mean(axis=0))) / distance
