"""Motion of practice clips: the starter engine's motion for speech plus random expressions and head motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.engines.protocol import MotionStyle
from sadtalker_ext.engines.starter.eyes_and_brows import eye_contact
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.puppet.basis import SHAPE_INDEX, SHAPES
from sadtalker_ext.puppet.head import ROTATION_LIMITS_RAD
from sadtalker_ext.training.clips.shape_columns import BLINK_COLUMNS, GAZE_COLUMNS, MOUTH_COLUMNS, SPOKEN_COLUMNS

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.starter.engine import StarterEngine


class ExtraExpression(NamedTuple):
    """Random expression: shapes that share one curve, probability per clip, and range of the curve.

    A negative low of a shape without negative values keeps it at rest for a part of the time.
    """

    shapes: tuple[str, ...]
    probability: float
    low: float
    high: float


EXTRA_EXPRESSIONS: Final = (
    ExtraExpression(("smile",), 0.5, -0.4, 1.0),
    ExtraExpression(("brows_up",), 0.35, 0.0, 1.0),
    ExtraExpression(("brows_down",), 0.25, 0.0, 1.0),
    ExtraExpression(("gaze_x",), 0.35, -0.9, 0.9),
    ExtraExpression(("gaze_y",), 0.25, -0.7, 0.7),
    ExtraExpression(("blink_left", "blink_right"), 0.15, -0.6, 1.0),
    ExtraExpression(("blink_left",), 0.06, -0.6, 1.0),
    ExtraExpression(("blink_right",), 0.06, -0.6, 1.0),
)
EXTRA_MOUTH_PROBABILITY: Final = 0.3
"""Part of the clips that have mouth shapes independent of the speech."""
EXTRA_MOUTH_SHAPES: Final = (
    "jaw_open", "pucker", "spread", "lip_tuck", "upper_lip_raise", "lower_lip_drop", "lips_closed",
)  # fmt: skip
START_AT_REST_PROBABILITY: Final = 0.3
"""Part of the clips whose first frame is the portrait itself."""
LEAD_S: Final = 1.2
"""The other clips start this long after the start of the predicted motion, when the head has left its rest pose."""
EASE_FRAMES: Final = 12
SPEECH_EASE_FRAMES: Final = 4
"""Frames over which a clip that starts at rest leaves it; the lips leave it faster."""
HEAD_PROBABILITY: Final = 0.7
"""Part of the clips with wide rotation, and independently with wide translation."""
ROTATION_REACH: Final = (0.85, 0.85, 0.7)
"""Wide pitch, yaw and roll, as parts of the limits of the renderer."""
TRANSLATION_LIMIT: Final = 0.12
"""Largest translation along each axis, in face heights: a talking head moves no further."""
TRANSLATION_REACH: Final = 0.06
"""Wide translation in face heights; more would show the border of many portraits."""
BLINK_RANGE: Final = (0.7, 1.2)
MOUTH_SCALE_RANGE: Final = (0.85, 1.15)
HEAD_SCALE_RANGE: Final = (0.5, 2.0)
"""Random factors on the predicted blink rate, mouth shapes and head motion."""
HOLD_RANGE_S: Final = (0.4, 1.6)
"""Time between two target values of a random curve."""
MOVE_SHARE: Final = 0.8
"""Part of that time in which the curve moves; it holds the value for the rest."""
SOFT_LIMIT: Final = 0.75
"""Part of a limit from which values are compressed."""


@dataclass(frozen=True)
class PracticeMotion:
    """motion: (T, 15) shapes and head pose, exactly as rendered. spoken: (T, 15) shapes predicted from speech alone."""

    motion: Motion
    spoken: Float32Array

    @property
    def lids(self) -> Float32Array:
        """Eyelid closure (T,) in [0, 1], mean of both eyes."""
        return np.asarray(self.motion.expression[:, BLINK_COLUMNS].mean(axis=1), np.float32)

    @property
    def lip_expression(self) -> Float32Array:
        """Expression (T, 15) of the first frame in which only the lips move with the speech."""
        expression = np.repeat(self.motion.expression[:1], len(self.motion), axis=0)
        expression[:, SPOKEN_COLUMNS] = self.spoken[:, SPOKEN_COLUMNS]
        return expression


def draw_lead_frames(random: np.random.Generator) -> int:
    """Return how many frames of predicted motion precede the clip; 0 if the clip starts at rest."""
    return 0 if random.random() < START_AT_REST_PROBABILITY else round(LEAD_S * FRAME_RATE_HZ)


def practice_motion(engine: StarterEngine, speech: Speech, lead: int, random: np.random.Generator) -> PracticeMotion:
    """Return random motion for ``speech`` without its first ``lead`` frames; ``engine`` has read the portrait."""
    shapes = len(SHAPES)
    rest = Motion(np.zeros((1, shapes), np.float32), np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32))
    style = MotionStyle(
        pose_style=str(random.integers(len(engine.spec.pose_styles))),
        blink=float(random.uniform(*BLINK_RANGE)),
        seed=int(random.integers(2**32)),
    )
    predicted = engine.predict_motion(speech, rest, style)
    spoken = clip_expression(predicted.expression)
    expression = predicted.expression * np.float32(1.0)
    expression[:, MOUTH_COLUMNS] *= np.float32(random.uniform(*MOUTH_SCALE_RANGE))
    rotation = predicted.rotation * np.float32(random.uniform(*HEAD_SCALE_RANGE))
    translation = predicted.translation * np.float32(random.uniform(*HEAD_SCALE_RANGE))
    frames = len(predicted) - lead
    ease, speech_ease = (_ease_in(frames, over if lead == 0 else 0) for over in (EASE_FRAMES, SPEECH_EASE_FRAMES))
    expression = speech_ease * expression[lead:] + ease * extra_expression(frames, random)
    extra_rotation, extra_translation = wide_head_motion(frames, random)
    rotation = limit_softly(rotation[lead:] + ease * extra_rotation, np.array(ROTATION_LIMITS_RAD))
    translation = limit_softly(translation[lead:] + ease * extra_translation, np.full(3, TRANSLATION_LIMIT))
    expression[:, GAZE_COLUMNS] += eye_contact(rotation)
    return PracticeMotion(Motion(clip_expression(expression), rotation, translation), spoken[lead:])


def extra_expression(frames: int, random: np.random.Generator) -> Float64Array:
    """Return random expressions (T, 15) to add to the speech: smile, brows, gaze, winks and mouth shapes."""
    extra = np.zeros((frames, len(SHAPES)))
    for names, probability, low, high in EXTRA_EXPRESSIONS:
        used, curve = random.random() < probability, random_curve(frames, random, low, high)
        columns = [SHAPE_INDEX[name] for name in names]
        if used:
            extra[:, columns] += np.where(SHAPES[columns[0]].low < 0.0, curve, np.maximum(curve, 0.0))[:, None]
    if random.random() < EXTRA_MOUTH_PROBABILITY:
        for name in EXTRA_MOUTH_SHAPES:
            extra[:, SHAPE_INDEX[name]] += np.maximum(random_curve(frames, random, -1.0, 1.0), 0.0)
    return extra


def wide_head_motion(frames: int, random: np.random.Generator) -> tuple[Float64Array, Float64Array]:
    """Return rotation (T, 3) in radians and translation (T, 3) in face heights, wider than those of speech."""
    reach = np.array(ROTATION_LIMITS_RAD) * ROTATION_REACH
    rotation = np.stack([random_curve(frames, random, -limit, limit) for limit in reach], axis=1)
    translation = np.stack([random_curve(frames, random, -1.0, 1.0) for _ in range(3)], axis=1) * TRANSLATION_REACH
    return rotation * (random.random() < HEAD_PROBABILITY), translation * (random.random() < HEAD_PROBABILITY)


def random_curve(frames: int, random: np.random.Generator, low: float, high: float) -> Float64Array:
    """Return a smooth curve (T,) through random values between ``low`` and ``high``."""
    times_s, values = [-1.0], [float(random.uniform(low, high))]
    while times_s[-1] < frames / FRAME_RATE_HZ:
        times_s.append(times_s[-1] + float(random.uniform(*HOLD_RANGE_S)))
        values.append(float(random.uniform(low, high)))
    at_s = np.arange(frames) / FRAME_RATE_HZ
    index = np.searchsorted(times_s, at_s, "right") - 1
    start_s, end_s = np.take(times_s, index), np.take(times_s, index + 1)
    share = np.clip((at_s - start_s) / (end_s - start_s) * (1.0 / MOVE_SHARE), 0.0, 1.0)
    share = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
    curve: Float64Array = np.take(values, index) * (1.0 - share) + np.take(values, index + 1) * share
    return curve


def clip_expression(expression: Float32Array | Float64Array) -> Float32Array:
    """Return expression (T, 15) clipped to the range of each shape, in which the renderer shows it unchanged."""
    low, high = np.array([(shape.low, shape.high) for shape in SHAPES]).T
    return np.clip(expression, low, high).astype(np.float32)


def limit_softly(values: Float32Array | Float64Array, limits: Float64Array) -> Float32Array:
    """Return values (T, 3) within ``limits`` (3,); values above :data:`SOFT_LIMIT` of a limit are compressed."""
    part = values / limits
    size = np.abs(part)
    rest = 1.0 - SOFT_LIMIT
    soft = np.where(size > SOFT_LIMIT, np.sign(part) * (SOFT_LIMIT + rest * np.tanh((size - SOFT_LIMIT) / rest)), part)
    return np.asarray(soft * limits, np.float32)


def _ease_in(frames: int, over: int) -> Float64Array:
    """Return a curve (T, 1) from 0 in the first frame to 1 after ``over`` frames; 1 everywhere if ``over`` is 0."""
    if over == 0:
        return np.ones((frames, 1))
    ramp: Float64Array = np.arange(frames) / over
    return smoothstep(ramp)[:, None]
