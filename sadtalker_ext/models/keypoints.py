"""Head parameters to keypoints: angle bins to degrees, rotation, translation (face-vid2vid, section 3.1).

The official code's numerical habits are named constants here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sadtalker_ext.models.mapping_net import HeadParameters

DEGREES_PER_BIN = 3.0
FIRST_BIN_DEG = -99.0
"""66 bins of 3 degrees, so bin 0 is -99 and bin 65 is 96: not symmetric, as trained."""
OFFICIAL_PI = 3.14
"""The networks were trained with this value of pi in degrees-to-radians."""


class HeadAngles(NamedTuple):
    """Angles in degrees, (B,) each; None leaves the predicted angle in place."""

    yaw_deg: Tensor | None = None
    pitch_deg: Tensor | None = None
    roll_deg: Tensor | None = None


def bins_to_degrees(logits: Tensor) -> Tensor:
    """Expected angle (B,) in degrees of logits (B, bins)."""
    bins = torch.arange(logits.shape[1], device=logits.device, dtype=logits.dtype)
    return (logits.softmax(dim=1) * bins).sum(dim=1) * DEGREES_PER_BIN + FIRST_BIN_DEG


def rotation_matrix(yaw_deg: Tensor, pitch_deg: Tensor, roll_deg: Tensor) -> Tensor:
    """(B, 3, 3) = Rx(pitch) Ry(yaw) Rz(roll)."""
    yaw, pitch, roll = (angle / 180 * OFFICIAL_PI for angle in (yaw_deg, pitch_deg, roll_deg))
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, dim=-1).reshape(-1, 3, 3)

    about_x = matrix(one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos())
    about_y = matrix(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
    about_z = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return about_x @ about_y @ about_z


def predicted_angles(head: HeadParameters) -> HeadAngles:
    """Yaw, pitch and roll in degrees as the network sees them."""
    return HeadAngles(bins_to_degrees(head.yaw), bins_to_degrees(head.pitch), bins_to_degrees(head.roll))


def vertical_translation(translation: Tensor) -> Tensor:
    """Translation (B, 3) with only y kept, as the renderer was trained to be driven."""
    return translation * translation.new_tensor((0.0, 1.0, 0.0))


def transform_keypoints(canonical: Tensor, head: HeadParameters, override: HeadAngles | None = None) -> Tensor:
    """Keypoints (B, K, 3) in [-1, 1]: R canonical + t + deformation.

    canonical: (B or 1, K, 3).
    override: angles that replace the predicted ones (free view).
    """
    chosen = [
        given if given is not None else predicted
        for given, predicted in zip(override or HeadAngles(), predicted_angles(head), strict=True)
    ]
    yaw, pitch, roll = (angle for angle in chosen if angle is not None)
    rotated = canonical @ rotation_matrix(yaw, pitch, roll).transpose(1, 2)
    return rotated + vertical_translation(head.translation).unsqueeze(1) + head.deformation
