"""Motion copied from a reference video by the engine itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.engines.protocol import MotionStyle
    from sadtalker_ext.geometry.motion import Motion


@dataclass(frozen=True)
class CopiedReference:
    """Replaces the predicted motion by the motion (N, 25 Hz) that the engine read from the reference video."""

    motion: Motion

    def later(self, rows: int) -> CopiedReference:
        """Return the reference that begins ``rows`` rows later."""
        return replace(self, motion=rolled(self.motion, rows))

    def style(self, style: MotionStyle) -> MotionStyle:
        """Return ``style`` unchanged: the prediction is not used."""
        return style

    def apply(self, motion: Motion, source: Motion) -> Motion:
        """Return the reference motion, repeated to the length of ``motion``."""
        return repeat_to_length(self.motion, len(motion))


def repeat_to_length(motion: Motion, frames: int) -> Motion:
    """Repeat or cut motion to ``frames`` rows."""
    at = np.arange(frames) % len(motion)
    return motion.map_parts(lambda part: part[at])


def rolled(motion: Motion, rows: int) -> Motion:
    """Return motion that begins ``rows`` rows later when it is repeated, with the same number of rows."""
    return motion.map_parts(lambda part: np.roll(part, -rows, axis=0))
