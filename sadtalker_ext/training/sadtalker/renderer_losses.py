"""Losses of the renderer: those of face-vid2vid (Wang et al. 2021, appendix A), and landmark guidance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional

from sadtalker_ext.models.keypoints import HeadAngles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sadtalker_ext.models.discriminator import DiscriminatorOutput

KEYPOINT_SPACING: Final = 0.1
"""Squared distance below which two keypoints repel each other."""
KEYPOINT_DEPTH: Final = 0.33
"""Target of the mean z of the keypoints."""
FIRST_OF_MOUTH: Final = 48
"""Index of the first mouth landmark in the iBUG-68 scheme."""
MOUTH_WEIGHT: Final = 4.0
"""Weight of mouth keypoints in :func:`guide`: in speech, lips move by only a pixel or two."""
GUIDE_LANDMARKS: Final = (62, 66, 48, 54, 57, 8, 30, 37, 41, 44, 46, 19, 24, 4, 12)
"""iBUG-68 landmarks of the keypoints: inner lips, mouth corners, lower lip, chin, nose, lids, brows, jaw."""


def perceptual(ours: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Return the mean absolute difference, summed over feature maps (B, C, h, w)."""
    return torch.stack([functional.l1_loss(a, b) for a, b in zip(ours, real, strict=True)]).sum()


def feature_matching(ours: Sequence[DiscriminatorOutput], real: Sequence[DiscriminatorOutput]) -> Tensor:
    """Return the mean absolute difference of the discriminator's features, summed over scales and blocks."""
    pairs = [pair for a, b in zip(ours, real, strict=True) for pair in zip(a.features, b.features, strict=True)]
    return torch.stack([functional.l1_loss(a, b) for a, b in pairs]).sum()


def adversarial(ours: Sequence[DiscriminatorOutput]) -> Tensor:
    """Return the generator's loss: the negative mean score of its images, summed over scales."""
    return torch.stack([-output.scores.mean() for output in ours]).sum()


def hinge(scores_real: Sequence[Tensor], scores_ours: Sequence[Tensor]) -> Tensor:
    """Return the discriminator's hinge loss, summed over scales: real scores should exceed 1, others be below -1."""
    terms = [functional.relu(1 - score).mean() for score in scores_real]
    terms += [functional.relu(1 + score).mean() for score in scores_ours]
    return torch.stack(terms).sum()


def warp_source(source: Tensor, deformation: Tensor, aligned: bool) -> Tensor:
    """Return source images (B, 3, S, S) warped with motion fields (B, D, h, w, 3), without the decoder.

    aligned: see :class:`~sadtalker_ext.models.dense_motion.DenseMotionConfig`.
    """
    field = deformation[..., :2].mean(dim=1).permute(0, 3, 1, 2)
    if aligned:
        cells = torch.tensor([field.shape[3], field.shape[2]], device=field.device, dtype=field.dtype)
        field = field * ((cells - 1) / cells).view(1, 2, 1, 1)
    field = functional.interpolate(field, size=source.shape[2:], mode="bilinear", align_corners=False)
    return functional.grid_sample(source, field.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def mean_inside(pictures: Tensor, boxes: Tensor) -> Tensor:
    """Return the mean of images (B, C, H, W) inside boxes (B, 4): left, top, right, bottom in pixels."""
    rows, columns = (torch.arange(count, device=pictures.device) + 0.5 for count in pictures.shape[2:])
    left, top, right, bottom = boxes.unsqueeze(2).unbind(dim=1)
    across, down = (columns > left) & (columns < right), (rows > top) & (rows < bottom)
    inside = (down.unsqueeze(2) & across.unsqueeze(1)).unsqueeze(1).to(pictures.dtype)
    return (pictures * inside).sum() / (inside.sum() * pictures.shape[1]).clamp(min=1.0)


def spread(keypoints: Tensor) -> Tensor:
    """Return the penalty for keypoints (B, K, 3) that are too close to each other.

    The amount by which squared distances fall below :data:`KEYPOINT_SPACING`, summed over ordered pairs. Together with
    :func:`depth` this is the keypoint prior of face-vid2vid.
    """
    squared = (keypoints.unsqueeze(1) - keypoints.unsqueeze(2)).square().sum(dim=3)
    others = ~torch.eye(keypoints.shape[1], dtype=torch.bool, device=keypoints.device)
    return (functional.relu(KEYPOINT_SPACING - squared) * others).sum(dim=(1, 2)).mean()


def depth(keypoints: Tensor) -> Tensor:
    """Return the absolute difference between the mean z of keypoints (B, K, 3) and :data:`KEYPOINT_DEPTH`."""
    return (keypoints[:, :, 2].mean(dim=1) - KEYPOINT_DEPTH).abs().mean()


def head_pose(angles: HeadAngles, known_rad: Tensor) -> Tensor:
    """Return the mean absolute error in radians, summed over yaw, pitch and roll; known_rad: (B, 3)."""
    terms = []
    for found, known in zip(angles, known_rad.unbind(dim=1), strict=True):
        if found is not None:
            terms.append((found * (math.pi / 180) - known).abs().mean())
    return torch.stack(terms).sum()


def deformation_prior(deformation: Tensor) -> Tensor:
    """Return the mean absolute deformation (B, K, 3) of the keypoints by the expression."""
    return deformation.abs().mean()


def guide(keypoints: Tensor, landmarks: Tensor, mouth: float = 1.0) -> Tensor:
    """Return the mean absolute error between keypoints (B, K, 3) and their landmarks (LivePortrait, section 3.2).

    landmarks: (B, 68, 2) in [-1, 1], of which :data:`GUIDE_LANDMARKS` are used (Guo et al. 2024). mouth: weight of the
    mouth keypoints.
    """
    count = keypoints.shape[1]
    weights = keypoints.new_tensor([mouth if point >= FIRST_OF_MOUTH else 1.0 for point in GUIDE_LANDMARKS[:count]])
    error = (keypoints[:, :, :2] - select_guide_landmarks(landmarks, count)).abs().mean(dim=(0, 2))
    return (error * weights).sum() / weights.sum()


def lips(keypoints: Tensor, landmarks: Tensor) -> Tensor:
    """Return the mean absolute error of the vector from the upper to the lower inner lip, the first two keypoints.

    The opening of the lips is small compared with the position errors of both keypoints, but it is what makes speech
    visible.
    """
    upper, lower = select_guide_landmarks(landmarks, 2).unbind(dim=1)
    return ((keypoints[:, 1, :2] - keypoints[:, 0, :2]) - (lower - upper)).abs().mean()


def select_guide_landmarks(landmarks: Tensor, keypoints: int) -> Tensor:
    """Return the landmarks (..., K, 2) of the first K keypoints, from all landmarks (..., 68, 2)."""
    return landmarks[..., list(GUIDE_LANDMARKS[:keypoints]), :]


def flow(deformation: Tensor, source: Tensor, driving: Tensor, aligned: bool) -> Tensor:
    """Return the error of motion fields (B, D, h, w, 3) at the landmarks of the driving frame.

    At each driving landmark (B, 68, 2) in [-1, 1], the field should point to the same landmark of the source. Mean
    absolute error, where landmarks outside the image count as 0.
    """
    field = deformation[..., :2].mean(dim=1).permute(0, 3, 1, 2)
    found = functional.grid_sample(field, driving.unsqueeze(1), padding_mode="border", align_corners=aligned)
    inside = (driving.abs().amax(dim=2) < 1).to(field.dtype)
    error = (found.squeeze(2).transpose(1, 2) - source).abs().mean(dim=2)
    return (error * inside).mean()
