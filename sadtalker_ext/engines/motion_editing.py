"""Motion editing: the motion settings of the user, applied to predicted motion.

All functions take and return motion in the units of :class:`~sadtalker_ext.geometry.motion.Motion`. Each setting is
read in exactly one of them.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.engines.protocol import MotionStyle, VideoTiming
from sadtalker_ext.engines.reference_motion import CopiedReference
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.geometry.camera_path import CameraPath, Leg, course, named_path, path_through, whole_course
from sadtalker_ext.setting_spec import AngleKeyframes, angle_keyframes
from sadtalker_ext.settings import NO_VIEW, VIEWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.engines.protocol import EngineSpec, MotionReference
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.settings import Settings

PITCH, YAW, ROLL = range(3)
"""Columns of Motion.rotation."""


class StandardMotionEditor:
    """Scales motion about the source and turns the head itself.

    expression_columns: columns of Motion.expression that ``expression_scale`` applies to (not blinks and gaze).
    """

    def __init__(self, expression_columns: Sequence[int]) -> None:
        self._columns = list(expression_columns)

    def edit(self, motion: Motion, source: Motion, settings: Settings, timing: VideoTiming) -> Motion:
        """Return the predicted motion (T, 25 Hz) as the settings ask, one row per frame of the video."""
        scaled = scale_expression(motion, source.expression[:1, self._columns], self._columns, settings)
        resampled = resample(scale_head_motion(scaled, source, settings), timing)
        return self.turn(resampled, settings, timing)

    def turn(self, motion: Motion, settings: Settings, timing: VideoTiming) -> Motion:
        """Return edited motion (T, one row per video frame) with head angles and camera path of the settings."""
        return move_camera(set_head_angles(motion, settings, timing), settings, timing)

    def reads_frames(self, use: str) -> bool:
        """Whether the engine must read each frame of the reference: only to copy the whole face."""
        return use == "all"

    def reference(self, use: str, motion: Motion) -> MotionReference:
        """Return a reference that replaces the predicted motion."""
        return CopiedReference(motion)


def motion_style(spec: EngineSpec, settings: Settings) -> MotionStyle:
    """Return the settings that the motion predictor reads; SettingsError if the engine has no such pose style."""
    style = settings.pose_style
    number = int(style) if style.isascii() and style.isdecimal() and len(style) < 10 else None
    if style not in spec.pose_styles and (number is None or number >= len(spec.pose_styles)):
        named = ", ".join(f"{index} {name}" for index, name in enumerate(spec.pose_styles))
        raise SettingsError(f"The engine {spec.name} has no pose style {style!r}; choose one of: {named}")
    return MotionStyle(pose_style=style, blink=settings.blink, seed=settings.seed)


def video_timing(duration_s: float, settings: Settings) -> VideoTiming:
    """Return the timing of a video as long as the voice, rounded up to a whole frame, at least one."""
    return VideoTiming(max(1, ceil(duration_s * settings.frame_rate - 1e-6)), settings.frame_rate)


def scale_expression(motion: Motion, rest: Float32Array, columns: Sequence[int], settings: Settings) -> Motion:
    """Multiply the distance of the given expression columns from ``rest`` (1, len(columns)) by the setting."""
    expression = motion.expression.copy()
    expression[:, columns] = rest + settings.expression_scale * (expression[:, columns] - rest)
    return motion.replace(expression=expression)


def head_motion_factor(settings: Settings) -> float:
    """Return the factor of the head motion: 0 if the head keeps still."""
    return 0.0 if settings.still else settings.head_motion_scale


def scale_head_motion(motion: Motion, source: Motion, settings: Settings) -> Motion:
    """Multiply the distance of the head pose from the source pose by the setting; ``still`` is a factor of 0."""
    scale = np.float32(head_motion_factor(settings))
    return motion.replace(
        rotation=source.rotation[:1] + scale * (motion.rotation - source.rotation[:1]),
        translation=source.translation[:1] + scale * (motion.translation - source.translation[:1]),
    )


def head_angle_keyframes(settings: Settings) -> dict[int, AngleKeyframes]:
    """Return the keyframes of each rotation column that the settings name."""
    texts = (settings.pitch, settings.yaw, settings.roll)
    keyframes = {column: angle_keyframes(text) for column, text in enumerate(texts)}
    return {column: angles for column, angles in keyframes.items() if angles is not None}


def without_turns(settings: Settings) -> Settings:
    """Return the settings without head angles and camera path."""
    return replace(settings, pitch="", yaw="", roll="", view=NO_VIEW)


def turns_far(settings: Settings) -> bool:
    """Whether the settings may turn the head further than speech does."""
    return head_motion_factor(settings) > 1.0 or bool(head_angle_keyframes(settings) or view_name(settings))


def set_head_angles(motion: Motion, settings: Settings, timing: VideoTiming) -> Motion:
    """Replace the rotation about each axis whose keyframes have no times; they are spaced evenly over the video."""
    rotation = motion.rotation.copy()
    progress = course_of_frames(timing)
    for column, keyframes in head_angle_keyframes(settings).items():
        if keyframes.times_s is None:
            angles = np.deg2rad(np.asarray(keyframes.angles_deg, np.float32))[:, None]
            rotation[:, column] = interpolate(angles, (len(angles) - 1.0) * progress)[:, 0]
    return motion.replace(rotation=rotation)


def course_of_frames(timing: VideoTiming) -> Float64Array:
    """Return the share (T,) of the video at each frame, from 0 in its first frame to 1 in its last one."""
    legs = [leg._replace(end=leg.end - 1.0) for leg in timing.legs()]
    return course(legs, timing.first + np.arange(timing.frames, dtype=np.float64), whole_course)


def move_camera(motion: Motion, settings: Settings, timing: VideoTiming) -> Motion:
    """Add the camera path of the settings to the rotation of the head, one row per video frame."""
    path = named_view(settings, timing)
    rotation_deg = keyframe_path(settings, timing) + (0.0 if path is None else path.rotation_deg)
    if not rotation_deg.any():
        return motion
    return motion.replace(rotation=(motion.rotation + np.deg2rad(rotation_deg)).astype(np.float32))


def keyframe_path(settings: Settings, timing: VideoTiming) -> Float64Array:
    """Return pitch, yaw and roll (T, 3) in degrees of the keyframes that have times; 0 without keyframes."""
    rotation_deg = np.zeros((timing.frames, 3))
    for column, keyframes in head_angle_keyframes(settings).items():
        if keyframes.times_s is not None:
            times_s, angles = np.array(keyframes.times_s), np.array(keyframes.angles_deg)
            rotation_deg[:, column] = path_through(times_s, angles, frame_times_s(timing))
    return rotation_deg


def named_view(settings: Settings, timing: VideoTiming) -> CameraPath | None:
    """Return the camera path that the settings name, or None."""
    name = view_name(settings)
    if name is None:
        return None
    legs = [Leg(leg.begin / timing.rate_hz, leg.end / timing.rate_hz, leg.final) for leg in timing.legs()]
    return named_path(name, frame_times_s(timing), legs)


def view_name(settings: Settings) -> str | None:
    """Return the name of the camera path, or None."""
    return settings.view if settings.view in VIEWS else None


def frame_times_s(timing: VideoTiming) -> Float64Array:
    """Return the time (T,) of each frame in seconds, counted from the start of the video."""
    return (timing.first + np.arange(timing.frames)) / timing.rate_hz


def resample(motion: Motion, timing: VideoTiming) -> Motion:
    """Resample motion at 25 Hz at the centre of each video frame; a video at 25 Hz gets the rows unchanged."""
    at = (np.arange(timing.frames) + 0.5) * (FRAME_RATE_HZ / timing.rate_hz) - 0.5
    return motion.map_parts(lambda part: interpolate(part, at))


def interpolate(values: Float32Array, at: Float64Array) -> Float32Array:
    """Interpolate the rows of ``values`` (N, D) at fractional rows ``at`` (M,); the end rows extend beyond the ends.

    Monotone cubic (Fritsch and Carlson 1980, with Butland's slopes): passes through every row and never leaves the
    range between two neighbours, so closed lips or lids stay exactly closed.
    """
    at = np.clip(at, 0.0, len(values) - 1.0)
    low = at.astype(np.intp)
    high = np.minimum(low + 1, len(values) - 1)
    t = (at - low)[:, None].astype(np.float32)
    slopes = _slopes(values)
    step = values[high] - values[low]
    bend = t * (1 - t) * ((1 - t) * (slopes[low] - step) - t * (slopes[high] - step))
    interpolated: Float32Array = (values[low] + t * step + bend).astype(np.float32)
    return interpolated


def _slopes(values: Float32Array) -> Float32Array:
    """Return the slope at each row (N, D): harmonic mean of both sides, 0 at turning points, one-sided at the ends."""
    sides = np.diff(values, axis=0)
    if len(sides) == 0:
        return np.zeros_like(values)
    before, after = sides[:-1], sides[1:]
    same_sign = before * after > 0
    inner = np.where(same_sign, 2 * before * after / np.where(same_sign, before + after, 1), 0)
    slopes: Float32Array = np.concatenate([sides[:1], inner, sides[-1:]]).astype(np.float32)
    return slopes
