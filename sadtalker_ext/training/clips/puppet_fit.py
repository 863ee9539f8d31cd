"""The puppet's motion read from tracked faces: which shapes, turns and shifts bring a neutral face onto each frame.

The face's own expression fields (puppet/fields.py) are taken at the landmarks of its neutral frame, and their weights
are found by least squares within the range of each shape. Lids and gaze are read from the openings and the irises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.coefficients import EXPRESSION, from_motion
from sadtalker_ext.engines.sadtalker.puppet_coefficients import clip_coefficients, portrait_rotation
from sadtalker_ext.geometry.landmarks import Landmarks
from sadtalker_ext.geometry.measures import STABLE_POINTS, eye_opening, mouth_opening
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.planar_pose import rotation_since
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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Array = NDArray[np.float64]

_UPPER_POINTS: Final = (*topo.MOUTH_UPPER_OUTER, *topo.MOUTH_UPPER_INNER, *topo.RIGHT_BROW, *topo.LEFT_BROW)
_LOWER_POINTS: Final = (
    *topo.MOUTH_LOWER_OUTER[1:-1], *topo.MOUTH_LOWER_INNER[1:-1], 152, 148, 377, 176, 400, 199, 200,
)  # fmt: skip
"""Lips, brows and chin. Points of the lower lip and chin move with the puppet's lower layer."""
_WEIGHTS: Final = {
    # weight of a field -> what it is at 1, lowest and highest, doubt
    "jaw": (JAW_DROP, 0.0, 1.0, 1.0),
    "part_lower": (LIP_DROP, -1.0, 1.0, 30.0),
    "part_upper": (LIP_RAISE, 0.0, 1.0, 30.0),
    "close_opened": (JAW_DROP, 0.0, 1.0, 100.0),
    "close_source": (1.0, 0.0, 1.0, 1.0),
    "pucker": (1.0, 0.0, 1.0, 1.0),
    "spread": (1.0, 0.0, 1.0, 1.0),
    "smile": (1.0, -0.5, 1.0, 1.0),
    "brows_up": (1.0, 0.0, 1.0, 1.0),
    "brows_down": (1.0, 0.0, 1.0, 1.0),
}
RIDGE: Final = 2e-4
"""Pulls weights to zero, the more the more they are doubted: where jaw and lips could both have opened a mouth, it is
the jaw. The values are those that brought back known motion best."""
SWEEPS: Final = 120
OPENED: Final = 0.012
"""Lips that would part by less than this (face heights) cannot be said to be held closed."""
LIDS_REST: Final = 0.92
LIDS_CLOSED: Final = 0.35
"""Opening of the eye, in parts of the open eye's, at which lids count as open and as closed."""
OPEN_QUANTILE: Final = 0.8
NEUTRAL_SHARE: Final = 0.04
FEWEST_NEUTRAL: Final = 3
"""The neutral face is the mean of this part of the frames, at least three, brought over one another."""


@dataclass(frozen=True)
class NeutralFace:
    """A face at rest. mesh: (478, 3). open_eyes: opening of the open right and left eye (eye_opening's unit)."""

    mesh: Floats
    open_eyes: tuple[float, float]


def find_neutral(meshes: Floats) -> NeutralFace:
    """The most neutral face of a video's meshes (T, 478, 3): mouth closed, eyes open, turned least."""
    faces = [Landmarks.from_mesh(mesh, "track") for mesh in meshes]
    eyes = np.array([(eye_opening(face, "right"), eye_opening(face, "left")) for face in faces])
    open_eyes = np.maximum(np.quantile(eyes, OPEN_QUANTILE, axis=0), 1e-3)
    mouth = np.array([mouth_opening(face) for face in faces])
    turned = np.array([np.linalg.norm(portrait_rotation(mesh)[:2]) for mesh in meshes])
    brows = np.array([_brow_height(mesh) for mesh in meshes])
    strain = (
        np.maximum(mouth - np.quantile(mouth, 0.05), 0.0) / 0.05
        + turned / 0.15
        + np.abs(1.0 - (eyes / open_eyes).mean(axis=1)) / 0.15
        + np.abs(brows - np.median(brows)) / 0.05
    )
    count = max(FEWEST_NEUTRAL, round(NEUTRAL_SHARE * len(meshes)))
    best = np.argsort(strain, kind="stable")[:count]
    chosen = [_over(meshes[index], meshes[best[0]]) for index in best]
    return NeutralFace(np.mean(chosen, axis=0).astype(np.float32), (float(open_eyes[0]), float(open_eyes[1])))


def neutral_of_portrait(mesh: Floats) -> NeutralFace:
    """A portrait (478, 3) taken as neutral."""
    face = Landmarks.from_mesh(mesh, "portrait")
    return NeutralFace(mesh, (eye_opening(face, "right"), eye_opening(face, "left")))


class PuppetReader:
    """Reads one person's motion as the puppet's, counted from the neutral face."""

    def __init__(self, neutral: NeutralFace) -> None:
        self.neutral = neutral
        self.face = measure_face(neutral.mesh)
        points = [*_UPPER_POINTS, *_LOWER_POINTS]
        self._points = points
        at = neutral.mesh[points, :2].astype(np.float64)
        fields = build_fields(self.face, at[:, None])[..., 0, :] / self.face.height_px
        below = np.arange(len(points)) >= len(_UPPER_POINTS)
        chosen = np.where(below[None, :, None], fields[LOWER], fields[UPPER])
        rows = [chosen[FIELD_NAMES.index(name)] * unit for name, (unit, *_) in _WEIGHTS.items()]
        self._basis = np.stack(rows).reshape(len(rows), -1)
        self._iris = self._irises(neutral.mesh)

    def read(self, meshes: Floats) -> Motion:
        """Motion (T, 15) of tracked meshes (T, 478, 3); rotation and translation count from the neutral face."""
        upright = np.stack([_over(mesh, self.neutral.mesh) for mesh in meshes])
        expression = np.zeros((len(meshes), len(SHAPES)))
        self._read_skin(upright, expression)
        self._read_eyes(meshes, upright, expression)
        pose = [self._pose(mesh) for mesh in meshes]
        rotation, translation = (np.array(part, np.float32) for part in zip(*pose, strict=True))
        return Motion(expression.astype(np.float32), rotation, translation)

    def coefficients(self, meshes: Floats, crop: Floats) -> Floats:
        """Coefficients (T, 73) of tracked meshes; crop: (3,) of the clip. The source is the neutral face."""
        own, nothing = portrait_rotation(self.neutral.mesh)[None], np.zeros((1, 3), np.float32)
        still = from_motion(Motion(np.zeros((1, EXPRESSION.stop), np.float32), own, nothing))[0]
        return clip_coefficients(self.read(meshes), np.concatenate((still, crop)))

    def _read_skin(self, upright: Array, expression: Array) -> None:
        moved = (upright[:, self._points, :2] - self.neutral.mesh[self._points, :2]) / self.face.height_px
        weights = bounded_weights(self._basis, moved.reshape(len(moved), -1))
        value = dict(zip(_WEIGHTS, weights.T, strict=True))
        lower_lip = self.face.mouth.lower_thickness_px / self.face.height_px
        drop, tuck = np.maximum(value["part_lower"], 0.0), np.maximum(-value["part_lower"], 0.0)
        opened = JAW_DROP * value["jaw"] + LIP_DROP * drop + LIP_RAISE * value["part_upper"]
        held = np.clip(value["close_opened"] * JAW_DROP / np.maximum(opened, OPENED), 0.0, 1.0)
        found = {
            "mouth_neutral": np.clip(1.0 - (1.0 - value["close_source"]) / np.maximum(1.0 - held, 0.1), 0.0, 1.0),
            "jaw_open": value["jaw"],
            "lips_closed": held,
            "lower_lip_drop": drop,
            "lip_tuck": np.clip(tuck * LIP_DROP / (TUCK_LIFT + TUCK_ROLL * lower_lip), 0.0, 1.0),
            "upper_lip_raise": value["part_upper"],
            **{name: value[name] for name in ("pucker", "spread", "smile", "brows_up", "brows_down")},
        }
        for name, track in found.items():
            expression[:, SHAPE_INDEX[name]] = track

    def _read_eyes(self, meshes: Floats, upright: Array, expression: Array) -> None:
        faces = [Landmarks.from_mesh(mesh, "track") for mesh in meshes]
        for side, at_rest in zip(("right", "left"), self.neutral.open_eyes, strict=True):
            part = np.array([eye_opening(face, "right" if side == "right" else "left") for face in faces]) / at_rest
            closing = np.clip((LIDS_REST - part) / (LIDS_REST - LIDS_CLOSED), 0.0, 1.0)
            expression[:, SHAPE_INDEX[f"blink_{side}"]] = closing
        look = np.array([self._irises(mesh) for mesh in upright]) - self._iris
        columns = [SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"]]
        expression[:, columns] = np.clip(look / GAZE_REACH, -1.0, 1.0)

    def _irises(self, mesh: Floats | Array) -> Array:
        """Mean place (2,) of both irises between their eye's corners, in half eye widths: across, down."""
        places = []
        for eye, iris in ((topo.RIGHT_EYE_UPPER, topo.RIGHT_IRIS), (topo.LEFT_EYE_UPPER, topo.LEFT_IRIS)):
            corners = mesh[[eye[0], eye[-1]], :2].astype(np.float64)
            half = 0.5 * np.linalg.norm(corners[1] - corners[0])
            places.append((mesh[iris[0], :2] - corners.mean(axis=0)) / max(float(half), 1e-6))
        across, down = self.face.axes.along, self.face.axes.down
        place = np.mean(places, axis=0)
        return np.array([place @ across, place @ down])

    def _pose(self, mesh: Floats) -> tuple[Array, Array]:
        """Rotation (3,) and translation (3,) since the neutral face."""
        rotation = np.array(rotation_since(mesh, self.neutral.mesh))
        skull = list(STABLE_POINTS)
        still, seen = self.neutral.mesh[skull].astype(np.float64), mesh[skull, :2].astype(np.float64)
        pivot = neck_pivot(self.face, self.neutral.mesh.astype(np.float64))
        turned = (still - pivot) @ euler_to_matrix(rotation).T
        flat = turned[:, :2] - turned[:, :2].mean(axis=0)
        around = seen - seen.mean(axis=0)
        scale = float((flat * around).sum() / np.maximum((flat**2).sum(), 1e-9))
        shift = seen.mean(axis=0) - pivot[:2] - scale * turned[:, :2].mean(axis=0)
        height = self.face.height_px
        nearer = CAMERA_DISTANCE * (1.0 - 1.0 / max(scale, 0.2))
        return rotation, np.array([shift[0] / height, shift[1] / height, nearer])


def bounded_weights(basis: Array, moved: Array) -> Array:
    """Weights (T, J) within their ranges by which ``basis`` (J, N) comes closest to each row of ``moved`` (T, N).

    Ridge regression by coordinate descent (Hildreth 1957), all frames at once.
    """
    _, low, high, doubt = np.array(list(_WEIGHTS.values())).T
    gram = basis @ basis.T + RIDGE * np.diag(doubt)
    wanted = moved @ basis.T
    weights = np.zeros_like(wanted)
    for _ in range(SWEEPS):
        for j in range(len(basis)):
            rest = wanted[:, j] - weights @ gram[j] + weights[:, j] * gram[j, j]
            weights[:, j] = np.clip(rest / gram[j, j], low[j], high[j])
    return weights


def _over(mesh: Floats, reference: Floats) -> Array:
    """A mesh (478, 3) turned, scaled and shifted so that its skull lies over the reference's."""
    skull = list(STABLE_POINTS)
    return fit_rigid_robust(mesh[skull], reference[skull]).apply(mesh.astype(np.float64))


def _brow_height(mesh: Floats) -> float:
    """Height of the brows over the eyes in eye distances."""
    brows = mesh[[*topo.RIGHT_BROW, *topo.LEFT_BROW]].mean(axis=0)
    corners = mesh[[33, 133, 362, 263]]
    distance = max(float(np.linalg.norm(corners[0] - corners[3])), 1e-6)
    return float(np.linalg.norm(brows - corners.mean(axis=0))) / distance
