"""Landmark and blink losses of ExpNet, with landmarks as a linear function of the expression coefficients.

SadTalker (Zhang et al. 2023, section 3.2) compares the 68 landmarks of the predicted expression with those of the
target, and the opening of the eyes with the blink ratio. Landmarks come from the Basel face model if the user has its
file, otherwise from the displacement fields of the puppet on the mean face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from sadtalker_ext.engines.sadtalker.coefficients import FACE_HEIGHT_UNITS
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.geometry.five_point_alignment import FACE_SCALE
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.puppet.basis import SHAPE_INDEX, SHAPES
from sadtalker_ext.puppet.expression_fields import LOWER, UPPER, build_fields, field_weights
from sadtalker_ext.puppet.eyelids import UPPER_LID_SHARE
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.training.clips.practice_render import BELOW_MOUTH, LID_PAIRS

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.arrays import Float64Array

EXPRESSIONS: Final = 64
POINTS: Final = 68
PIXELS_PER_UNIT: Final = FACE_SCALE
"""Landmarks are compared in pixels of the official aligned image (224 x 224), 102 per unit of the 3DMM."""
FACE_PX: Final = FACE_HEIGHT_UNITS * FACE_SCALE
"""Height of the mean face in these pixels."""
EYES: Final = tuple(range(36, 48))
EYE_CORNERS: Final = ((36, 39), (36, 39), (42, 45), (42, 45))
"""Eye corners for each of :data:`~sadtalker_ext.training.clips.practice_render.LID_PAIRS`."""
INNER_LIPS: Final = ((61, 67), (62, 66), (63, 65))
NARROWEST_EYE: Final = 0.3
"""Smallest eye opening of a reference, relative to the mean face; smaller openings are clamped to it."""
BFM_NAME: Final = "BFM_model_front.mat"
_MEASURED_PX: Final = 1000.0
"""Height at which the mean face is measured, large enough that the puppet's minimum lengths do not apply."""
_SPEAKING: Final = {"jaw_open": 0.3}
"""Expression at which the puppet's shapes are linearised; the mouth is open, so that closing has an effect."""


class LandmarkModel(nn.Module):
    """Frozen linear model of 68 landmarks in pixels of the aligned image: x right, y down, z (optional) forward."""

    mean: Tensor
    basis: Tensor

    def __init__(self, mean: Float64Array, basis: Float64Array) -> None:
        """mean: (68, D). basis: (64, 68, D), displacement per unit of each coefficient; D is 2 or 3."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("basis", torch.tensor(basis, dtype=torch.float32))

    def forward(self, expression: Tensor) -> Tensor:
        """Expression (..., 64) -> landmarks (..., 68, D)."""
        landmarks: Tensor = self.mean + torch.einsum("...e,epd->...pd", expression, self.basis)
        return landmarks

    def eye_opening(self, expression: Tensor) -> Tensor:
        """Expression (..., 64) -> lid gap / eye width (...), mean of four lid pairs; negative if the lids cross."""
        points = self(expression)
        gaps = [
            (points[..., lower, 1] - points[..., upper, 1]) / (points[..., right, 0] - points[..., left, 0])
            for (upper, lower), (left, right) in zip(LID_PAIRS, EYE_CORNERS, strict=True)
        ]
        return torch.stack(gaps).mean(dim=0)

    def lip_gap(self, expression: Tensor) -> Tensor:
        """Expression (..., 64) -> gap between the inner lips in pixels (...)."""
        points = self(expression)
        return torch.stack([points[..., low, 1] - points[..., up, 1] for up, low in INNER_LIPS]).mean(dim=0)

    def eye_closing(self, expression: Tensor, reference: Tensor) -> Tensor:
        """Return the closing of the eyes (...): 0 as open as in the reference, 1 closed; both inputs are (..., 64)."""
        rest = self.eye_opening(torch.zeros_like(reference))
        reference_opening = torch.maximum(self.eye_opening(reference), NARROWEST_EYE * rest)
        closing: Tensor = 1 - self.eye_opening(expression) / reference_opening
        return closing


def landmark_loss(model: LandmarkModel, predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared distance in pixels of all landmarks except the eyes, which follow the blink ratio."""
    kept = [point for point in range(POINTS) if point not in EYES]
    difference: Tensor = (model(predicted) - model(target))[..., kept, :]
    return difference.square().sum(dim=-1).mean()


def blink_loss(model: LandmarkModel, predicted: Tensor, reference: Tensor, ratio: Tensor) -> Tensor:
    """Return the mean absolute difference between eye closing and blink ratio (B, T, 1) in [0, 1]."""
    return (model.eye_closing(predicted, reference) - ratio.squeeze(-1)).abs().mean()


def puppet_landmarks() -> LandmarkModel:
    """Return the landmark model of the puppet's shapes on the mean face, linearised at :data:`_SPEAKING`."""
    mesh = mean_face_mesh().astype(np.float64) * _MEASURED_PX
    face = measure_face(mesh.astype(np.float32))
    points = subset_68(mesh.astype(np.float32)).astype(np.float64)
    fields = build_fields(face, points[None])[:, :, 0]
    layer = np.where(np.isin(np.arange(POINTS), BELOW_MOUTH), LOWER, UPPER)
    own = np.stack([fields[layer[point], :, point] for point in range(POINTS)], axis=1)
    gap, lip = face.mouth.gap_px / face.height_px, face.mouth.lower_thickness_px / face.height_px
    anchor = np.zeros((1, len(SHAPES)))
    anchor[0, [SHAPE_INDEX[name] for name in _SPEAKING]] = list(_SPEAKING.values())
    steps = anchor + np.eye(len(SHAPES))
    weights = field_weights(steps, gap, lip) - field_weights(anchor, gap, lip)
    basis = np.zeros((EXPRESSIONS, POINTS, 2))
    basis[: len(SHAPES)] = np.einsum("ej,jpd->epd", weights, own) + _lid_shifts(points)
    scale = FACE_PX / face.height_px
    return LandmarkModel(points * scale, basis * scale)


def _lid_shifts(points: Float64Array) -> Float64Array:
    """Return the displacement (15, 68, 2) of the lid landmarks for a full blink."""
    shifts = np.zeros((len(SHAPES), POINTS, 2))
    for (upper, lower), side in zip(LID_PAIRS, ("right", "right", "left", "left"), strict=True):
        gap, column = points[lower] - points[upper], SHAPE_INDEX[f"blink_{side}"]
        shifts[column, upper] = UPPER_LID_SHARE * gap
        shifts[column, lower] = -(1.0 - UPPER_LID_SHARE) * gap
    return shifts


def bfm_landmarks(path: Path) -> LandmarkModel:
    """Return the landmark model of ``BFM_model_front.mat`` (Basel face model as in Deep3DFaceRecon), y flipped.

    WeightsError if the file cannot be read or is not this model.
    """
    tables = _read_mat(path)
    try:
        chosen = tables["keypoints"].reshape(-1).astype(np.int64)[:POINTS] - 1
        mean = tables["meanshape"].reshape(-1, 3)[chosen]
        basis = tables["exBase"].reshape(-1, 3, EXPRESSIONS)[chosen]
    except (KeyError, ValueError, IndexError) as e:
        raise WeightsError(f"{path} is not the Basel face model ({e}); choose {BFM_NAME}") from e
    if len(mean) != POINTS:
        raise WeightsError(f"{path} has {len(mean)} landmarks, not {POINTS}; choose {BFM_NAME}")
    scale = PIXELS_PER_UNIT * np.array([1.0, -1.0, 1.0])
    return LandmarkModel((mean - mean.mean(axis=0)) * scale, np.moveaxis(basis, 2, 0) * scale)


def _read_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        tables: dict[str, Any] = loadmat(str(path), variable_names=("keypoints", "meanshape", "exBase"))
    except (OSError, ValueError, NotImplementedError, TypeError, MemoryError, MatReadError) as e:
        raise WeightsError(f"{path} cannot be read as a MATLAB file ({e}); choose {BFM_NAME}") from e
    return tables
