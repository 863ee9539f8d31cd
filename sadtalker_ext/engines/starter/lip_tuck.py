"""The lower lip under the upper teeth in f and v, in agreement with the opening that LipMotion predicts.

SpeechToExpression predicts the tuck and LipMotion the opening. In 71 recordings of 52 speakers, in sync with their
sound, the lips of a complete tuck are 0.7 standard deviations less open than their mean where LipMotion predicts less
than the mean (median of 235 frames). Where it predicts more (51 frames), they are 0.6 more open: no f or v is spoken,
or the next vowel has begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.puppet.profiles import soft_clamp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array

TUCK_FADES: Final = (0.0, 0.6)
"""Predicted openings, in standard deviations from the mean, between which the tuck fades. With and without this, 0.95
of 106 synthetic f and v are tucked by more than half."""
TUCKED_OPENING: Final = 0.10
"""Opening, 1 at ``jaw_open`` = 1, up to which a tucked lip opens as predicted. The tuck closes half of what the jaw
opens; with a jaw of more than 0.3, the lip leaves the teeth."""
TUCKED_SOFTNESS: Final = 0.6
"""Distance of the largest opening with a complete tuck from :data:`TUCKED_OPENING`, as a share of it."""


def confident_tucks(tuck: Float32Array, opening: Float32Array) -> Float32Array:
    """Return ``lip_tuck`` (T,), smaller where LipMotion predicts a large opening.

    opening: (T,) of LipMotion, in standard deviations from the mean.
    """
    start, end = TUCK_FADES
    kept: Float32Array = tuck * (1.0 - smoothstep((opening - start) / (end - start)))
    return kept


def tucked_opening(opening: Float32Array, tuck: Float32Array) -> Float32Array:
    """Return the opening (T,), 1 at ``jaw_open`` = 1, limited smoothly to what a lip tucked by ``tuck`` (T,) allows."""
    limited = soft_clamp(opening.astype(np.float64), 0.0, TUCKED_OPENING, TUCKED_SOFTNESS)
    return (opening + tuck * (limited - opening)).astype(np.float32)
