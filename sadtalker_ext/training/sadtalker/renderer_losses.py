"""Losses of the renderer: face-vid2vid (Wang et al. 2021, appendix A), and two that help small runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional

from sadtalker_ext.models.keypoints import HeadAngles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sadtalker_ext.models.discriminator import SpeechMetrics

KEYPOINT_SPACING: Final = 0.1
"""Squared distance below which two keypoints push each other apart."""
KEYPOINT_DEPTH: Final = 0.33
"""Mean z of the keypoints."""
FIRST_OF_MOUTH: Final = 48
"""Of the iBUG-68 points."""
MOUTH_COUNTS: Final = 4.0
"""Times that a keypoint of the mouth counts in :func:`guide`: lips part by a pixel or two, and that is speech."""
GUIDE_LANDMARKS: Final = (62, 66, 48, 54, 57, 8, 30, 37, 41, 44, 46, 19, 24, 4, 12)
"""iBUG-68 points that keypoints may be tied to: inner lips, mouth corners, lower lip, chin, nose, lids, brows, jaw."""


def perceptual(ours: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Sum over features (B, C, h, w) of the mean absolute difference."""
    return torch.stack([functional.l1_loss(a, b) for a, b in zip(ours, real, strict=True)]).sum()


def feature_matching(ours: Sequence[SpeechMetrics], real: Sequence[SpeechMetrics]) -> Tensor:
    """Sum over the discriminator's scales and blocks of the mean absolute difference of features."""
    pairs = [pair for a, b in zip(ours, real, strict=True) for pair in zip(a.features, b.features, strict=True)]
    return torch.stack([functional.l1_loss(a, b) for a, b in pairs]).sum()


def adversarial(ours: Sequence[SpeechMetrics]) -> Tensor:
    """What the generator gains from scores of its pictures: minus their mean, summed over scales."""
    return torch.stack([-judgement.scores.mean() for judgement in ours]).sum()


def hinge(scores_real: Sequence[Tensor], scores_ours: Sequence[Tensor]) -> Tensor:
    """The discriminator's loss: real scores above 1 and the generator's below -1 cost nothing; summed over scales."""
    terms = [functional.relu(1 - score).mean() for score in scores_real]
    terms += [functional.relu(1 + score).mean() for score in scores_ours]
    return torch.stack(terms).sum()


def unpainted(source: Tensor, deformation: Tensor, aligned: bool) -> Tensor:
    """The source picture (B, 3, S, S) itself, moved along a field (B, D, h, w, 3): what there is before any painting.

    aligned: see :class:`~sadtalker_ext.models.dense_motion.DenseMotionConfig`.
    """
    field = deformation[..., :2].mean(dim=1).permute(0, 3, 1, 2)
    if aligned:
        cells = torch.tensor([field.shape[3], field.shape[2]], device=field.device, dtype=field.dtype)
        field = field * ((cells - 1) / cells).view(1, 2, 1, 1)
    field = functional.interpolate(field, size=source.shape[2:], mode="bilinear", align_corners=False)
    return functional.grid_sample(source, field.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def within(pictures: Tensor, boxes: Tensor) -> Tensor:
    """Mean of pictures (B, C, H, W) inside boxes (B, 4): left, top, right, bottom in their pixels."""
    rows, columns = (torch.arange(count, device=pictures.device) + 0.5 for count in pictures.shape[2:])
    left, top, right, bottom = boxes.unsqueeze(2).unbind(dim=1)
    across, down = (columns > left) & (columns < right), (rows > top) & (rows < bottom)
    inside = (down.unsqueeze(2) & across.unsqueeze(1)).unsqueeze(1).to(pictures.dtype)
    return (pictures * inside).sum() / (inside.sum() * pictures.shape[1]).clamp(min=1.0)


def spread(keypoints: Tensor) -> Tensor:
    """What pairs of keypoints (B, K, 3) lack to a squared distance of :data:`KEYPOINT_SPACING`, summed over ordered
    pairs. With :func:`depth` this is the keypoint prior.
    """
    squared = (keypoints.unsqueeze(1) - keypoints.unsqueeze(2)).square().sum(dim=3)
    others = ~torch.eye(keypoints.shape[1], dtype=torch.bool, device=keypoints.device)
    return (functional.relu(KEYPOINT_SPACING - squared) * others).sum(dim=(1, 2)).mean()


def depth(keypoints: Tensor) -> Tensor:
    """How far the mean z of keypoints (B, K, 3) is from :data:`KEYPOINT_DEPTH`."""
    return (keypoints[:, :, 2].mean(dim=1) - KEYPOINT_DEPTH).abs().mean()


def head_pose(angles: HeadAngles, known_rad: Tensor) -> Tensor:
    """Mean absolute error in radians, summed over the angles; ``known_rad`` (B, 3) is yaw, pitch, roll."""
    terms = []
    for found, known in zip(angles, known_rad.unbind(dim=1), strict=True):
        if found is not None:
            terms.append((found * (math.pi / 180) - known).abs().mean())
    return torch.stack(terms).sum()


def deformation_prior(deformation: Tensor) -> Tensor:
    """Expressions (B, K, 3) should move keypoints as little as they can: mean absolute value."""
    return deformation.abs().mean()


def guide(keypoints: Tensor, landmarks: Tensor, mouth: float = 1.0) -> Tensor:
    """Keypoints (B, K, 3) tied to some of the landmarks (B, 68, 2) in [-1, 1], as in LivePortrait (Guo et al. 2024,
    section 3.2): mean absolute error, in which keypoints of the mouth count ``mouth`` times.
    """
    count = keypoints.shape[1]
    weights = keypoints.new_tensor([mouth if point >= FIRST_OF_MOUTH else 1.0 for point in GUIDE_LANDMARKS[:count]])
    error = (keypoints[:, :, :2] - tied(landmarks, count)).abs().mean(dim=(0, 2))
    return (error * weights).sum() / weights.sum()


def lips(keypoints: Tensor, landmarks: Tensor) -> Tensor:
    """Mean absolute error of the way from the upper inner lip to the lower one, the first two keypoints that
    :func:`guide` ties: small beside the errors of both, and what speech is seen by.
    """
    upper, lower = tied(landmarks, 2).unbind(dim=1)
    return ((keypoints[:, 1, :2] - keypoints[:, 0, :2]) - (lower - upper)).abs().mean()


def tied(landmarks: Tensor, keypoints: int) -> Tensor:
    """Those of landmarks (..., 68, 2) that :func:`guide` ties keypoints to: (..., K, 2)."""
    return landmarks[..., list(GUIDE_LANDMARKS[:keypoints]), :]


def flow(deformation: Tensor, source: Tensor, driving: Tensor, aligned: bool) -> Tensor:
    """A field (B, D, h, w, 3) should point, at each landmark of the driving frame (B, 68, 2) in [-1, 1], to the same
    landmark of the source: mean absolute error over the landmarks that lie in the picture.
    """
    field = deformation[..., :2].mean(dim=1).permute(0, 3, 1, 2)
    found = functional.grid_sample(field, driving.unsqueeze(1), padding_mode="border", align_corners=aligned)
    inside = (driving.abs().amax(dim=2) < 1).to(field.dtype)
    error = (found.squeeze(2).transpose(1, 2) - source).abs().mean(dim=2)
    return (error * inside).mean()
