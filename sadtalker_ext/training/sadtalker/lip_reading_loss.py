"""Lip-reading loss: features of a frozen lip reader for the predicted and for the true mouth.

In SadTalker (Zhang et al. 2023, section 3.2) the input of the lip reader is the rendered face. Here it is the image of
the clip, warped by the difference between predicted and true landmarks: no renderer is required, and both inputs have
the same texture. As in EMOCA v2 and SPECTRE (Filntisis et al. 2022), features are compared by cosine similarity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from sadtalker_ext.models.lip_reader import MOUTH_PX

if TYPE_CHECKING:
    from sadtalker_ext.training.sadtalker.landmark_loss import LandmarkModel

EYE_CORNERS: Final = (36, 45)
MOUTH: Final = tuple(range(48, 68))
STABLE_POINTS: Final = (33, 36, 39, 42, 45)
"""Landmarks below the nose and at the eye corners, which expressions hardly move; they give scale and rotation."""
EYE_DISTANCE_PX: Final = 74.16
"""Distance of the outer eye corners in the training images of public lip readers, pixels of the mouth image."""
INFLUENCE_RADIUS_PX: Final = 6.0
"""Standard deviation of the Gaussian with which a landmark moves the image around it, pixels of the mouth image."""


def fit_similarity(points: Tensor, mean: Tensor) -> Tensor:
    """Return scaled rotations (N, 2, 2) that fit the stable points of the mean face to those of each face.

    Least-squares fit. points: (N, 68, 2). mean: (68, 2).
    """
    stable = list(STABLE_POINTS)
    target, model = points[:, stable], mean[stable]
    target, model = target - target.mean(dim=1, keepdim=True), model - model.mean(dim=0)
    power = model.square().sum()
    cosine = (target * model).sum(dim=(1, 2)) / power
    sine = (target[..., 1] * model[:, 0] - target[..., 0] * model[:, 1]).sum(dim=1) / power
    return torch.stack((torch.stack((cosine, -sine), dim=-1), torch.stack((sine, cosine), dim=-1)), dim=-2)


class MouthCropper(nn.Module):
    """Crops aligned grey mouth images for a lip reader, optionally warped to moved landmarks."""

    def __init__(self, model: LandmarkModel) -> None:
        super().__init__()
        self.model = model
        eyes = model.mean[EYE_CORNERS[1], :2] - model.mean[EYE_CORNERS[0], :2]
        self.unit = float(eyes.norm()) / EYE_DISTANCE_PX
        """Pixels of the landmark model per pixel of the mouth image."""

    def forward(self, pictures: Tensor, landmarks: Tensor, shift: Tensor | None = None) -> Tensor:
        """Return grey mouth images (N, 88, 88) in [0, 1].

        pictures: RGB (N, 3, S, S) in [0, 1]. landmarks: (N, 68, 2) in pixels, (0, 0) at the corner of the image.
        shift: (N, 68, 2), displacement of the landmarks in pixels of the landmark model, or None; differentiable.
        """
        from kornia.color import rgb_to_grayscale

        mouth = landmarks[:, list(MOUTH)]
        transform = fit_similarity(landmarks, self.model.mean[:, :2]) * self.unit
        center = mouth.mean(dim=1, keepdim=True)
        steps = torch.arange(MOUTH_PX, device=pictures.device, dtype=pictures.dtype) - (MOUTH_PX - 1) / 2
        rows, columns = torch.meshgrid(steps, steps, indexing="ij")
        positions = torch.stack((columns, rows), dim=-1).reshape(1, -1, 2).expand(len(pictures), -1, 2)
        if shift is not None:
            points = torch.linalg.solve(transform, (mouth - center).transpose(1, 2)).transpose(1, 2)
            positions = positions - interpolate_shift(positions, points, shift[:, list(MOUTH)] / self.unit)
        grid = (center + positions @ transform.transpose(1, 2)) * 2 / pictures.shape[-1] - 1
        mouths = functional.grid_sample(
            rgb_to_grayscale(pictures), grid.reshape(-1, MOUTH_PX, MOUTH_PX, 2), align_corners=False
        )
        return mouths[:, 0]


def interpolate_shift(positions: Tensor, points: Tensor, shift: Tensor) -> Tensor:
    """Return the displacement (N, M, 2) at ``positions`` (N, M, 2); it is 0 far from all points.

    points: (N, P, 2). shift: displacement of each point (N, P, 2). Distances are measured to the moved points, because
    the result is the displacement of the content that arrives at each position.
    """
    moved_points = (points + shift).detach()
    weights = torch.exp(-torch.cdist(positions, moved_points).square() / (2 * INFLUENCE_RADIUS_PX**2))
    displacement: Tensor = weights @ shift / weights.sum(dim=-1, keepdim=True).clamp(min=1.0)
    return displacement


class LipReadingLoss(nn.Module):
    """Distance between lip-reading features of the predicted and of the true mouth.

    reader: lip reader, mouths (B, T, 88, 88) -> features (B, T, F); it is frozen. model: landmark model.
    """

    def __init__(self, reader: nn.Module, model: LandmarkModel) -> None:
        super().__init__()
        self.reader, self.model, self.crop = reader.eval().requires_grad_(False), model, MouthCropper(model)

    def forward(self, predicted: Tensor, shown: Tensor, pictures: Tensor, landmarks: Tensor) -> Tensor:
        """Return the mean of 1 - cosine similarity.

        predicted, shown: predicted expression and expression in the pictures, (B, T, 64). pictures: (B, T, 3, S, S) in
        [0, 1]. landmarks: (B, T, 68, 2) in pixels, (0, 0) at the corner of the image.
        """
        batch, frames = predicted.shape[:2]
        shift = (self.model(predicted) - self.model(shown))[..., :2].flatten(0, 1)
        flat = pictures.flatten(0, 1), landmarks.flatten(0, 1)
        features = self.reader(self.crop(*flat, shift).unflatten(0, (batch, frames)))
        with torch.no_grad():
            true_features = self.reader(self.crop(*flat).unflatten(0, (batch, frames)))
        return (1 - functional.cosine_similarity(features, true_features, dim=-1)).mean()
