"""Motion editing as the official SadTalker code does it, for the setting ``parity``.

It differs from :class:`~sadtalker_ext.engines.motion_editing.StandardMotionEditor` in three places: the expression is
scaled about zero, head angles turn the rendered view instead of the head, and a reference video is read frame by frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.engines.motion_editing import (
    course_of_frames,
    head_angle_keyframes,
    keyframe_path,
    named_view,
    resample,
    scale_expression,
    scale_head_motion,
)
from sadtalker_ext.engines.reference_motion import CopiedReference, repeat_to_length, rolled
from sadtalker_ext.engines.sadtalker.coefficients import official_free_view
from sadtalker_ext.geometry.motion import Motion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.engines.protocol import MotionReference, MotionStyle, VideoTiming
    from sadtalker_ext.settings import Settings


@dataclass(frozen=True)
class ViewedMotion(Motion):
    """Motion with a fixed view.

    view_deg: (T, 3) float32, pitch, yaw and roll in degrees that replace those predicted by MappingNet; a column of NaN
        keeps the predicted angle. None keeps all three.
    """

    view_deg: Float32Array | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.view_deg is not None and self.view_deg.shape != (len(self), 3):
            raise ValueError(f"view_deg must be (T, 3) = {(len(self), 3)}, got {self.view_deg.shape}")

    def map_parts(self, function: Callable[[Float32Array], Float32Array]) -> ViewedMotion:
        """Apply ``function`` to each part, the view included."""
        view = None if self.view_deg is None else function(self.view_deg)
        return ViewedMotion(function(self.expression), function(self.rotation), function(self.translation), view)


def view_of(motion: Motion) -> Float32Array | None:
    """Return the fixed view (T, 3) in degrees, or None if the motion has none."""
    return motion.view_deg if isinstance(motion, ViewedMotion) else None


class OfficialMotionEditor:
    """Edits motion as the official code does.

    expression_columns: columns of Motion.expression that ``expression_scale`` applies to.
    """

    def __init__(self, expression_columns: Sequence[int]) -> None:
        self._columns = list(expression_columns)

    def edit(self, motion: Motion, source: Motion, settings: Settings, timing: VideoTiming) -> Motion:
        """Return the predicted motion (T, 25 Hz) as the settings ask, one row per frame of the video."""
        scaled = scale_expression(motion, np.zeros((1, len(self._columns)), np.float32), self._columns, settings)
        resampled = resample(scale_head_motion(scaled, source, settings), timing)
        return self.turn(resampled, settings, timing)

    def turn(self, motion: Motion, settings: Settings, timing: VideoTiming) -> Motion:
        """Return edited motion (T, one row per video frame) with the view that the settings ask for."""
        return fix_view(motion, official_view(settings, timing))

    def reads_frames(self, use: str) -> bool:
        """Whether the engine must read each frame of the reference: always."""
        return True

    def reference(self, use: str, motion: Motion) -> MotionReference:
        """Return a reference that the official code would use for ``use``."""
        return CopiedReference(motion) if use == "all" else OfficialReference(use, motion)


def official_view(settings: Settings, timing: VideoTiming) -> Float64Array:
    """Return pitch, yaw and roll (T, 3) in degrees of the rendered view; a column of NaN keeps the predicted angle.

    Keyframes without times move at constant speed, as in the official code. Camera paths, which it does not have, are
    views as well.
    """
    path, view = named_view(settings, timing), np.full((timing.frames, 3), np.nan)
    timed_deg = keyframe_path(settings, timing) + (0.0 if path is None else path.rotation_deg)
    for column, keyframes in head_angle_keyframes(settings).items():
        timed = keyframes.times_s is not None
        view[:, column] = 0.0 if timed else spaced_view(keyframes.angles_deg, timing)
    for column in range(3):
        if timed_deg[:, column].any():
            view[:, column] = np.nan_to_num(view[:, column]) + timed_deg[:, column]
    return view


def spaced_view(angles_deg: Sequence[float], timing: VideoTiming) -> Float64Array:
    """Return angles (T,) in degrees through keyframes without times, at constant speed.

    In a part of a video whose length is not known yet, which the official code does not have, at the expected speed.
    """
    if not timing.expected:
        return official_free_view(angles_deg, timing.frames)
    ways = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(angles_deg)))])
    angles: Float64Array = np.interp(ways[-1] * course_of_frames(timing), ways, angles_deg)
    return angles


def fix_view(motion: Motion, view_deg: Float64Array) -> Motion:
    """Return ``motion`` with the rendered view (T, 3) in degrees, columns of :func:`official_view`."""
    if np.isnan(view_deg).all():
        return motion
    return ViewedMotion(motion.expression, motion.rotation, motion.translation, view_deg.astype(np.float32))


@dataclass(frozen=True)
class OfficialReference:
    """Eyes and head pose of a reference video, taken as the official code takes them.

    use: eyes, pose or eyes+pose. motion: (N, 25 Hz), read by the engine from the frames of the reference. first: row
    with which a part of a video begins; head motion is relative to row 0 in all parts.
    """

    use: str
    motion: Motion
    first: int = 0

    def later(self, rows: int) -> OfficialReference:
        """Return the reference that begins ``rows`` rows later."""
        return replace(self, first=self.first + rows)

    def style(self, style: MotionStyle) -> MotionStyle:
        """For the eyes, let the predictor start from the whole reference expression, without generated blinks."""
        if "eyes" not in self.use:
            return style
        return replace(style, expression=rolled(self.motion, self.first).expression, lids=np.zeros(1, np.float32))

    def apply(self, motion: Motion, source: Motion) -> Motion:
        """Add the reference's head motion since its first frame to the predicted head motion."""
        if "pose" not in self.use:
            return motion
        moves = repeat_to_length(rolled(self.motion, self.first), len(motion))
        return motion.replace(
            rotation=motion.rotation + moves.rotation - self.motion.rotation[:1],
            translation=motion.translation + moves.translation - self.motion.translation[:1],
        )
