"""What is computed once for a portrait, and whether a motion begins where the portrait is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.coefficients import CROP, to_motion
from sadtalker_ext.engines.sadtalker.parity import view_of

if TYPE_CHECKING:
    from torch import Tensor

    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.engines.sadtalker.framing import FeatheredFinish, Framing
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.geometry.portrait import Portrait

REST_ROTATION_RAD: Final = 0.1
REST_SHIFT: Final = 0.03
"""Largest rotation, and translation in face heights, of a head whose colours are compared with those of the portrait:
within them, a lookup table of colours changes by 0.1 levels on average (measured on 4 portraits)."""


@dataclass(frozen=True)
class PreparedFace:
    """A prepared portrait. coefficients: (70 or 73,) of the source."""

    portrait: Portrait
    framing: Framing
    coefficients: Float32Array


@dataclass(frozen=True)
class RenderSource:
    """Tensors shared by all frames of a portrait.

    canonical, keypoints: (1, K, 3), without and with the head pose of the portrait. encoded: of the generator.
    finish: pastes squares with a soft edge; None for the official way.
    """

    face: PreparedFace
    canonical: Tensor
    keypoints: Tensor
    encoded: Any
    finish: FeatheredFinish | None


def starts_at_rest(motion: Motion, coefficients: Float32Array) -> bool:
    """Return whether the head is in the first row of ``motion`` nearly where it is in the portrait.

    coefficients: (70 or 73,) of the portrait.
    """
    if view_of(motion) is not None:
        return False
    own = to_motion(coefficients[None, : CROP.start])
    turned, moved = motion.rotation[0] - own.rotation[0], motion.translation[0] - own.translation[0]
    return bool(np.abs(turned).max() <= REST_ROTATION_RAD and np.abs(moved).max() <= REST_SHIFT)
