"""Lip-reading loss: what a frozen lip reader sees of the predicted mouth against what it sees of the speaker's.

SadTalker (Zhang et al. 2023, section 3.2) shows a lip reader the rendered face. Here it sees the clip's own pictures of
the mouth, moved by the difference between predicted and true landmarks, so no renderer is needed and the comparison
is between pictures of one texture. As in EMOCA v2 and SPECTRE (Filntisis et al. 2022) features are compared, by cosine.
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
STEADY: Final = (33, 36, 39, 42, 45)
"""Below the nose and the corners of the eyes: they tell size and lean of the face."""
PIXELS_PER_EYES: Final = 74.16
"""Distance of the outer eye corners in the pictures that public lip readers were trained on, in their pixels."""
REACH_PX: Final = 6.0
"""How far around a landmark the picture moves with it, in pixels of the mouth's picture."""
GREY: Final = (0.299, 0.587, 0.114)


def similarity(points: Tensor, mean: Tensor) -> Tensor:
    """(N, 2, 2) rotation times scale that best takes the mean face's steady points (68, 2) to (N, 68, 2)."""
    steady = list(STEADY)
    here, model = points[:, steady], mean[steady]
    here, model = here - here.mean(dim=1, keepdim=True), model - model.mean(dim=0)
    power = model.square().sum()
    along = (here * model).sum(dim=(1, 2)) / power
    across = (here[..., 1] * model[:, 0] - here[..., 0] * model[:, 1]).sum(dim=1) / power
    return torch.stack((torch.stack((along, -across), dim=-1), torch.stack((across, along), dim=-1)), dim=-2)


class MouthPictures(nn.Module):
    """Cuts mouths out of pictures as lip readers want them, as they are and with their landmarks moved."""

    def __init__(self, model: LandmarkModel) -> None:
        super().__init__()
        self.model = model
        eyes = model.mean[EYE_CORNERS[1], :2] - model.mean[EYE_CORNERS[0], :2]
        self.unit = float(eyes.norm()) / PIXELS_PER_EYES
        """Pixels of the landmark model per pixel of the mouth's picture."""

    def forward(self, pictures: Tensor, landmarks: Tensor, shift: Tensor | None = None) -> Tensor:
        """Grey mouths (N, 88, 88) in [0, 1].

        pictures: (N, 3, S, S) in [0, 1]. landmarks: (N, 68, 2) in their pixels, (0, 0) at the corner.
        shift: (N, 68, 2) by which landmarks are to be moved, in pixels of the landmark model; gradients reach it.
        None leaves the mouth as it is.
        """
        mouth = landmarks[:, list(MOUTH)]
        turned = similarity(landmarks, self.model.mean[:, :2]) * self.unit
        centre = mouth.mean(dim=1, keepdim=True)
        steps = torch.arange(MOUTH_PX, device=pictures.device, dtype=pictures.dtype) - (MOUTH_PX - 1) / 2
        rows, columns = torch.meshgrid(steps, steps, indexing="ij")
        place = torch.stack((columns, rows), dim=-1).reshape(1, -1, 2).expand(len(pictures), -1, 2)
        if shift is not None:
            known = torch.linalg.solve(turned, (mouth - centre).transpose(1, 2)).transpose(1, 2)
            place = place - spread(place, known, shift[:, list(MOUTH)] / self.unit)
        found = centre + place @ turned.transpose(1, 2)
        size = pictures.shape[-1]
        grid = found * 2 / size - 1
        grey = sum(weight * pictures[:, channel] for channel, weight in enumerate(GREY))
        seen = functional.grid_sample(
            torch.as_tensor(grey)[:, None], grid.reshape(-1, MOUTH_PX, MOUTH_PX, 2), align_corners=False
        )
        return seen[:, 0]


def spread(place: Tensor, points: Tensor, shift: Tensor) -> Tensor:
    """Shift (N, M, 2) at ``place`` (N, M, 2) of points (N, P, 2) that move by ``shift``; 0 far from all of them.

    It is the shift of what comes to lie there, so the points are taken where they end.
    """
    ends = (points + shift).detach()
    near = torch.exp(-torch.cdist(place, ends).square() / (2 * REACH_PX**2))
    moved: Tensor = near @ shift / near.sum(dim=-1, keepdim=True).clamp(min=1.0)
    return moved


class LipReadingLoss(nn.Module):
    """reader: frozen, mouths (B, T, 88, 88) -> features (B, T, F). model: landmarks of expressions."""

    def __init__(self, reader: nn.Module, model: LandmarkModel) -> None:
        super().__init__()
        self.reader, self.model, self.mouths = reader.eval().requires_grad_(False), model, MouthPictures(model)

    def forward(self, predicted: Tensor, shown: Tensor, pictures: Tensor, landmarks: Tensor) -> Tensor:
        """Mean of 1 - cosine between features of the mouths as predicted and as they are.

        predicted, shown: (B, T, 64), expression to judge and that of the pictures. pictures: (B, T, 3, S, S) in
        [0, 1]. landmarks: (B, T, 68, 2) in their pixels, (0, 0) at the picture's corner.
        """
        batch, frames = predicted.shape[:2]
        shift = (self.model(predicted) - self.model(shown))[..., :2].flatten(0, 1)
        flat = pictures.flatten(0, 1), landmarks.flatten(0, 1)
        ours = self.reader(self.mouths(*flat, shift).unflatten(0, (batch, frames)))
        with torch.no_grad():
            theirs = self.reader(self.mouths(*flat).unflatten(0, (batch, frames)))
        return (1 - functional.cosine_similarity(ours, theirs, dim=-1)).mean()
