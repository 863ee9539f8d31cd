"""Motion for practice clips: what the starter makes of speech and much else that faces do, in the puppet's range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.protocol import MotionStyle
from sadtalker_ext.engines.starter.eyes_and_brows import eye_contact
from sadtalker_ext.geometry.motion import FRAME_RATE_HZ, Motion
from sadtalker_ext.puppet.basis import MOUTH_SHAPES, SHAPE_INDEX, SHAPE_NAMES, SHAPES
from sadtalker_ext.puppet.head import ROTATION_LIMITS_RAD, TRANSLATION_LIMIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.starter.engine import StarterEngine

    Floats = NDArray[np.float32]
    Array = NDArray[np.float64]

SPOKEN: Final = tuple(SHAPE_INDEX[name] for name in (*MOUTH_SHAPES, "mouth_neutral") if name != "smile")
"""Columns that follow from the sound alone."""
LIDS: Final = (SHAPE_INDEX["blink_left"], SHAPE_INDEX["blink_right"])
EASE_FRAMES: Final = 12
SPEECH_EASE_FRAMES: Final = 4
"""A clip that begins at rest leaves it over so many frames; its lips do so faster."""
STARTS_AT_REST: Final = 0.3
"""Part of the clips that begin with the picture itself."""
LEAD_S: Final = 1.2
"""The others begin this long into a longer clip, when the head has left its rest."""
EXTRAS: Final = (
    # names of shapes, chance that a clip has them, lowest and highest value
    (("smile",), 0.5, -0.4, 1.0),
    (("brows_up",), 0.35, 0.0, 1.0),
    (("brows_down",), 0.25, 0.0, 1.0),
    (("gaze_x",), 0.35, -0.9, 0.9),
    (("gaze_y",), 0.25, -0.7, 0.7),
    (("blink_left", "blink_right"), 0.15, -0.6, 1.0),
    (("blink_left",), 0.06, -0.6, 1.0),
    (("blink_right",), 0.06, -0.6, 1.0),
)
"""Negative lows of shapes that have none leave them at rest for a part of the time."""
EXERCISE_CHANCE: Final = 0.3
"""Part of the clips whose mouth goes through other shapes than those of the sound, too."""
EXERCISES: Final = ("jaw_open", "pucker", "spread", "lip_tuck", "upper_lip_raise", "lower_lip_drop", "lips_closed")
HEAD_CHANCE: Final = 0.7
HEAD_REACH: Final = (0.85, 0.85, 0.7)
"""Wide head movement, in parts of what the puppet can turn."""
SHIFT_REACH: Final = 0.06
"""And in face heights; further, and the border of many pictures comes into view."""


@dataclass(frozen=True)
class PracticeMotion:
    """motion: (T, 15), exactly what the puppet shows. spoken: (T, 15) the sound's own part of the lips."""

    motion: Motion
    spoken: Floats

    @property
    def lids(self) -> Floats:
        """Closing of the lids (T,) in 0..1, the mean of both eyes."""
        return np.asarray(self.motion.expression[:, LIDS].mean(axis=1), np.float32)

    @property
    def lip_expression(self) -> Floats:
        """(T, 15): the first frame with only the lips moving as the sound has them."""
        moving = np.repeat(self.motion.expression[:1], len(self.motion), axis=0)
        moving[:, SPOKEN] = self.spoken[:, SPOKEN]
        return moving


def lead_frames(random: np.random.Generator) -> int:
    """How many frames of the predicted motion are left out before the clip; 0 where it begins at rest."""
    return 0 if random.random() < STARTS_AT_REST else round(LEAD_S * FRAME_RATE_HZ)


def practice_motion(engine: StarterEngine, speech: Speech, lead: int, random: np.random.Generator) -> PracticeMotion:
    """Motion for ``speech`` without its first ``lead`` frames. The engine has read the portrait before."""
    shapes = len(SHAPES)
    rest = Motion(np.zeros((1, shapes), np.float32), np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32))
    style = MotionStyle(
        pose_style=str(random.integers(len(engine.spec.pose_styles))),
        blink=float(random.uniform(0.7, 1.2)),
        seed=int(random.integers(2**32)),
    )
    predicted = engine.predict_motion(speech, rest, style)
    spoken = limited_expression(predicted.expression)
    expression = predicted.expression * np.float32(1.0)
    expression[:, SPOKEN[:-1]] *= np.float32(random.uniform(0.85, 1.15))
    rotation = predicted.rotation * np.float32(random.uniform(0.5, 2.0))
    translation = predicted.translation * np.float32(random.uniform(0.5, 2.0))
    frames = len(predicted) - lead
    ease, speech_ease = (_ease_in(frames, over if lead == 0 else 0) for over in (EASE_FRAMES, SPEECH_EASE_FRAMES))
    expression = speech_ease * expression[lead:] + ease * extra_expression(frames, random)
    turned, shifted = wide_head(frames, random)
    rotation = limited(rotation[lead:] + ease * turned, np.array(ROTATION_LIMITS_RAD))
    translation = limited(translation[lead:] + ease * shifted, np.full(3, TRANSLATION_LIMIT))
    gaze = [SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"]]
    expression[:, gaze] += eye_contact(rotation)
    return PracticeMotion(Motion(limited_expression(expression), rotation, translation), spoken[lead:])


def extra_expression(frames: int, random: np.random.Generator) -> Array:
    """What comes on top of speech (T, 15): moods, brows, glances, winks, and other mouth shapes."""
    extra = np.zeros((frames, len(SHAPES)))
    for names, chance, low, high in EXTRAS:
        wanted, track = random.random() < chance, wander(frames, random, low, high)
        columns = [SHAPE_INDEX[name] for name in names]
        if wanted:
            extra[:, columns] += np.where(SHAPES[columns[0]].low < 0.0, track, np.maximum(track, 0.0))[:, None]
    if random.random() < EXERCISE_CHANCE:
        for name in EXERCISES:
            extra[:, SHAPE_INDEX[name]] += np.maximum(wander(frames, random, -1.0, 1.0), 0.0)
    return extra


def wide_head(frames: int, random: np.random.Generator) -> tuple[Array, Array]:
    """Turns (T, 3) in radians and shifts (T, 3) in face heights that reach further than speech alone."""
    reach = np.array(ROTATION_LIMITS_RAD) * HEAD_REACH
    turned = np.stack([wander(frames, random, -limit, limit) for limit in reach], axis=1)
    shifted = np.stack([wander(frames, random, -1.0, 1.0) for _ in range(3)], axis=1) * SHIFT_REACH
    return turned * (random.random() < HEAD_CHANCE), shifted * (random.random() < HEAD_CHANCE)


def wander(frames: int, random: np.random.Generator, low: float, high: float) -> Array:
    """(T,) smooth movement between random values, held and left again every 0.4 to 1.6 s."""
    times, values = [-1.0], [float(random.uniform(low, high))]
    while times[-1] < frames / FRAME_RATE_HZ:
        times.append(times[-1] + float(random.uniform(0.4, 1.6)))
        values.append(float(random.uniform(low, high)))
    at = np.arange(frames) / FRAME_RATE_HZ
    index = np.searchsorted(times, at, "right") - 1
    start, end = np.take(times, index), np.take(times, index + 1)
    share = np.clip((at - start) / (end - start) * 1.25, 0.0, 1.0)
    share = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
    smooth: Array = np.take(values, index) * (1.0 - share) + np.take(values, index + 1) * share
    return smooth


def limited_expression(expression: Floats | Array) -> Floats:
    """(T, 15) within the range of each shape, which the puppet shows as it is."""
    low, high = np.array([(shape.low, shape.high) for shape in SHAPES]).T
    return np.clip(expression, low, high).astype(np.float32)


def limited(values: Floats | Array, limits: Array) -> Floats:
    """(T, 3) bent towards the limits from three quarters of them on, and never beyond."""
    part = values / limits
    size = np.abs(part)
    bent = np.where(size > 0.75, np.sign(part) * (0.75 + 0.25 * np.tanh((size - 0.75) / 0.25)), part)
    return np.asarray(bent * limits, np.float32)


def _ease_in(frames: int, over: int) -> Array:
    """(T, 1) from 0 in the first frame to 1 after ``over`` frames."""
    ramp = np.clip(np.arange(frames) / over, 0.0, 1.0)[:, None] if over else np.ones((frames, 1))
    eased: Array = ramp * ramp * (3.0 - 2.0 * ramp)
    return eased


assert SHAPE_NAMES[SPOKEN[-1]] == "mouth_neutral"  # noqa: S101 - the scale above leaves it alone
