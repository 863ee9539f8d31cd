"""Joins motion that was predicted section by section, without jumps.

Each section starts from the pose of the portrait. Where the previous motion has ended elsewhere, its distance is added
and fades; the head also keeps its speed. This is inertialization (Bollo, "Inertialization: High-Performance Animation
Transitions in Gears of War", GDC 2018) with cubic Hermite curves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.geometry.motion import Motion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.engines.protocol import MotionStyle

POSE_S: Final = 1.2
"""Seconds in which the head leaves the pose at the end of the previous section."""
EXPRESSION_S: Final = 0.3
"""The same for the face. The sections end and begin with a pause, in which the mouth is closed and no blink begins."""
KEPT_ROWS: Final = 2
"""Rows of the previous motion that :func:`continue_motion` reads."""


def section_style(style: MotionStyle, number: int) -> MotionStyle:
    """Return the style of a section, counted from 0; each has another seed, so that blinks and nods do not repeat."""
    if number == 0:
        return style
    return replace(style, seed=int(np.random.SeedSequence([style.seed, number]).generate_state(1)[0]))


def continue_motion(motion: Motion, before: Motion | None, rate_hz: float) -> Motion:
    """Return ``motion`` (T) as the continuation of the last rows of ``before``.

    rate_hz: rows per second of both.
    """
    if before is None:
        return motion
    return motion.replace(
        expression=_faded(motion.expression, before.expression[-1:], EXPRESSION_S * rate_hz),
        rotation=_faded(motion.rotation, before.rotation[-KEPT_ROWS:], POSE_S * rate_hz),
        translation=_faded(motion.translation, before.translation[-KEPT_ROWS:], POSE_S * rate_hz),
    )


def join(motions: Sequence[Motion]) -> Motion:
    """Return one motion with the rows of all."""
    return Motion(*(np.concatenate(parts) for parts in zip(*map(_parts, motions), strict=True)))


def _parts(motion: Motion) -> tuple[Float32Array, Float32Array, Float32Array]:
    return motion.expression, motion.rotation, motion.translation


def _faded(rows: Float32Array, before: Float32Array, frames: float) -> Float32Array:
    """Return ``rows`` (T, D) plus their distance from ``before`` (1 or 2, D), which fades within ``frames`` rows.

    With two previous rows, the speed is continued, too.
    """
    speed = before[-1] - before[0]
    slower = speed - (rows[1] - rows[0]) if min(len(before), len(rows)) > 1 else np.zeros_like(speed)
    distance = before[-1] + speed - rows[0]
    t = np.minimum(np.arange(len(rows)) / frames, 1.0)[:, None]
    offset = (1.0 + 2.0 * t) * (1.0 - t) ** 2 * distance + t * (1.0 - t) ** 2 * frames * slower
    return np.asarray(rows + offset, np.float32)
