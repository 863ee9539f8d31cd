"""The motion knobs: what a person asks of the movement, after the voice has had its say.

Every function takes and gives motion in the units of :class:`~sadtalker_ext.geometry.motion.Motion`; each knob is
read in exactly one of them.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sadtalker_ext.engines.protocol import MotionStyle
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.geometry.motion import FRAME_RATE_HZ
from sadtalker_ext.setting_spec import angles_deg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sadtalker_ext.engines.protocol import EngineSpec
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.settings import Settings

PIPELINE_KNOBS = frozenset(
    {"engine", "face", "resolution_limit", "frame_rate", "quality", "restore", "restore_strength", "upscale"}
)
"""Settings that the pipeline honours for every engine; the others need the engine's word."""

PITCH, YAW, ROLL = range(3)
"""Columns of Motion.rotation."""


def check_knobs(spec: EngineSpec, settings: Settings) -> None:
    """Refuse, by name, every changed setting that this engine would ignore."""
    refused = [name for name in settings.changes() if name not in PIPELINE_KNOBS | spec.knobs]
    if refused:
        raise SettingsError(f"The engine {spec.name} cannot honour {', '.join(refused)}; leave it at its default")


def motion_style(spec: EngineSpec, settings: Settings) -> MotionStyle:
    """The part of the wishes that the motion predictor decides; a style that the engine lacks is a SettingsError."""
    style = settings.pose_style
    number = int(style) if style.isdecimal() else None
    if style not in spec.pose_styles and (number is None or number >= len(spec.pose_styles)):
        named = ", ".join(f"{index} {name}" for index, name in enumerate(spec.pose_styles))
        raise SettingsError(f"The engine {spec.name} has no pose style {style!r}; it has {named}")
    return MotionStyle(pose_style=style, blink=settings.blink, seed=settings.seed)


class Clock(NamedTuple):
    """When the video's frames are: how many, and how many per second."""

    frames: int
    rate_hz: float


def video_clock(duration_s: float, settings: Settings) -> Clock:
    """The clock of a video as long as the voice, rounded up to a whole frame, with at least one."""
    return Clock(max(1, ceil(duration_s * settings.frame_rate - 1e-6)), settings.frame_rate)


def edit_motion(motion: Motion, source: Motion, settings: Settings, spec: EngineSpec, clock: Clock) -> Motion:
    """The predicted motion (T, 25 Hz) as the person wants it, one row per frame of the video."""
    motion = scale_expression(motion, source, settings, spec)
    return free_view(resample(move_head(motion, source, settings), clock), settings, spec)


def scale_expression(motion: Motion, source: Motion, settings: Settings, spec: EngineSpec) -> Motion:
    """Expression times ``expression_scale`` about the source's, in the columns the engine names.

    An engine in parity scales it about zero, as the official code does.
    """
    columns = list(spec.expression_columns)
    rest = np.zeros((1, len(columns)), np.float32) if spec.parity else source.expression[:1, columns]
    expression = motion.expression.copy()
    expression[:, columns] = rest + settings.expression_scale * (expression[:, columns] - rest)
    return motion.replace(expression=expression)


def move_head(motion: Motion, source: Motion, settings: Settings) -> Motion:
    """Rotation and translation times ``head_motion_scale`` about the source's; ``still`` is a scale of 0."""
    scale = np.float32(0.0 if settings.still else settings.head_motion_scale)
    return motion.replace(
        rotation=source.rotation[:1] + scale * (motion.rotation - source.rotation[:1]),
        translation=source.translation[:1] + scale * (motion.translation - source.translation[:1]),
    )


def free_view(motion: Motion, settings: Settings, spec: EngineSpec) -> Motion:
    """The axes of rotation that have keyframes follow them from the first frame to the last; the others stay.

    An engine in parity turns what it has rendered, not the head that moves, and walks as the official code does.
    """
    keyframes = {YAW: angles_deg(settings.yaw), PITCH: angles_deg(settings.pitch), ROLL: angles_deg(settings.roll)}
    wanted = {column: angles for column, angles in keyframes.items() if angles}
    if spec.parity:
        return _official_view(motion, wanted)
    rotation = motion.rotation.copy()
    for column, angles in wanted.items():
        at = np.linspace(0.0, len(angles) - 1.0, len(motion))
        rotation[:, column] = interpolate(np.deg2rad(np.asarray(angles, np.float32))[:, None], at)[:, 0]
    return motion.replace(rotation=rotation)


def _official_view(motion: Motion, wanted: Mapping[int, Sequence[float]]) -> Motion:
    from sadtalker_ext.engines.sadtalker.coefficients import official_free_view

    if not wanted:
        return motion
    view = np.full((len(motion), 3), np.nan, np.float32)
    for column, angles in wanted.items():
        view[:, column] = official_free_view(angles, len(motion))
    return motion.replace(view_deg=view)


def resample(motion: Motion, clock: Clock) -> Motion:
    """Motion at 25 Hz read at the middle of each frame of the video; at 25 Hz these are its own rows."""
    at = (np.arange(clock.frames) + 0.5) * (FRAME_RATE_HZ / clock.rate_hz) - 0.5
    return motion.map_parts(lambda part: interpolate(part, at))


def interpolate(values: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows of ``values`` (N, D) at the fractional rows ``at`` (M,); beyond the ends the end rows hold.

    Monotone cubic (Fritsch and Carlson, 1980, with Butland's slopes): passes through every row, is smooth, and never
    leaves the range between two neighbours, so a closed lip or lid stays exactly closed.
    """
    at = np.clip(at, 0.0, len(values) - 1.0)
    low = at.astype(np.intp)
    high = np.minimum(low + 1, len(values) - 1)
    t = (at - low)[:, None].astype(np.float32)
    slopes = _slopes(values)
    step = values[high] - values[low]
    bend = t * (1 - t) * ((1 - t) * (slopes[low] - step) - t * (slopes[high] - step))
    between: NDArray[np.float32] = (values[low] + t * step + bend).astype(np.float32)
    return between


def _slopes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Slope at each row (N, D): the harmonic mean of its two sides, 0 at a turning point, one-sided at the ends."""
    sides = np.diff(values, axis=0)
    if len(sides) == 0:
        return np.zeros_like(values)
    before, after = sides[:-1], sides[1:]
    rising = before * after > 0
    inner = np.where(rising, 2 * before * after / np.where(rising, before + after, 1), 0)
    slopes: NDArray[np.float32] = np.concatenate([sides[:1], inner, sides[-1:]]).astype(np.float32)
    return slopes
