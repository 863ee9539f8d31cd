"""Transform canonical keypoints by head parameters: rotation, translation, deformation (face-vid2vid, section 3.1).

Numerical peculiarities of the official code are named constants.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sadtalker_ext.models.mapping_net import HeadParameters

DEGREES_PER_BIN = 3.0
FIRST_BIN_DEG = -99.0
"""Angle of bin 0. With 66 bins of 3 degrees, bin 65 is 96 degrees; the asymmetry is that of the official code."""
OFFICIAL_PI = 3.14
"""Value of pi in the conversion from degrees to radians with which the networks were trained."""


class HeadAngles(NamedTuple):
    """Angles in degrees, (B,) each; None stands for the predicted angle."""

    yaw_deg: Tensor | None = None
    pitch_deg: Tensor | None = None
    roll_deg: Tensor | None = None


def bins_to_degrees(logits: Tensor) -> Tensor:
    """Return the expected angle (B,) in degrees of bin logits (B, bins)."""
    bins = torch.arange(logits.shape[1], device=logits.device, dtype=logits.dtype)
    return (logits.softmax(dim=1) * bins).sum(dim=1) * DEGREES_PER_BIN + FIRST_BIN_DEG


def rotation_matrix(yaw_deg: Tensor, pitch_deg: Tensor, roll_deg: Tensor) -> Tensor:
    """Return the rotation matrices (B, 3, 3) Rx(pitch) Ry(yaw) Rz(roll); angles are (B,) in degrees."""
    yaw, pitch, roll = (angle / 180 * OFFICIAL_PI for angle in (yaw_deg, pitch_deg, roll_deg))
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, dim=-1).reshape(-1, 3, 3)

    about_x = matrix(one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos())
    about_y = matrix(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
    about_z = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return about_x @ about_y @ about_z


def predicted_angles(head: HeadParameters) -> HeadAngles:
    """Return the predicted yaw, pitch and roll in degrees."""
    return HeadAngles(bins_to_degrees(head.yaw), bins_to_degrees(head.pitch), bins_to_degrees(head.roll))


def vertical_translation(translation: Tensor) -> Tensor:
    """Return the translation (B, 3) with x and z set to 0, as in training of the renderer."""
    return translation * translation.new_tensor((0.0, 1.0, 0.0))


def transform_keypoints(canonical: Tensor, head: HeadParameters, override: HeadAngles | None = None) -> Tensor:
    """Return keypoints (B, K, 3) in [-1, 1]: R canonical + t + deformation.

    canonical: (B or 1, K, 3). override: angles that replace the predicted ones (free view).
    """
    chosen = [
        given if given is not None else predicted
        for given, predicted in zip(override or HeadAngles(), predicted_angles(head), strict=True)
    ]
    yaw, pitch, roll = (angle for angle in chosen if angle is not None)
    rotated = canonical @ rotation_matrix(yaw, pitch, roll).transpose(1, 2)
    return rotated + vertical_translation(head.translation).unsqueeze(1) + head.deformation
