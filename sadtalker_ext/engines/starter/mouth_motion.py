"""Mouth motion of the starter engine: what LipMotion measures, in the shapes that SpeechToExpression distinguishes.

LipMotion predicts how far the mouth opens and how wide it is, learned from real lips. SpeechToExpression, learned from
phones, predicts which shapes do it: complete closures (p b m), lower lip under the teeth (f v), rounding, raised lips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.engines.starter.lip_curves import open_lip_curves
from sadtalker_ext.engines.starter.lip_response import LipResponse
from sadtalker_ext.engines.starter.lip_tuck import confident_tucks, tucked_opening
from sadtalker_ext.engines.starter.speech_motion import SPEECH_SHAPES, gate_closures, open_speech_to_motion
from sadtalker_ext.metrics.sync import with_opening, with_width
from sadtalker_ext.puppet.basis import MOUTH_SHAPES

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.starter.lip_curves import LipCurves, LipTrack
    from sadtalker_ext.engines.starter.speech_motion import SpeechToMotion
    from sadtalker_ext.models.lip_motion import LipMotionConfig
    from sadtalker_ext.weights.trained import TrainedWeights

OPENING_GAIN: Final = 1.45
"""Predictions vary less than real lips, because they are means; with this, tracked openings vary as much as those of
real speakers: by 0.052 eye distances, the mean of 127 recordings."""
WIDTH_GAIN: Final = 1.75
"""As above, for tracked widths: by 0.064 of their mean."""
LEAD_S: Final = 0.02
"""The lips move this much earlier than LipMotion predicts. Its training videos have been encoded several times and are
out of sync by up to 0.12 s in both directions; viewers tolerate lips that lead better than lips that lag (ITU-R
BT.1359). Closures keep their time, which is exact; a longer lead would part them from the movement around them, and
openings would agree less with those of real speakers (r lower by 0.01 with 0.04 s)."""
PROSODY_SHARE, SHAPES_SHARE, LIPS_SHARE = (0.0, 0.06), (0.06, 0.17), (0.17, 1.0)
"""Where each of the three readers of a voice begins and ends, as measured shares of their work."""
OPENING_REACH, WIDTH_REACH = 8, 25
"""Frames (25 Hz) around a recognised voice in which the lips may open and change their width; in longer pauses the
mouth closes and rests."""
VOICE_LOGITS: Final = (0.7, 1.7)
"""Smoothed logits of the voice detector between which a voice is recognised. In recordings of animals, machines,
instruments and weather, which the detector did not learn, 99 % are below the first; 99.9 % of those of voices, spoken,
whispered or shouted, are above the second, 98 % sung, 90 % sung over music."""
VOICE_SMOOTHING: Final = 9
"""Frames over which the logits are averaged: single frames of music can resemble a vowel."""
SPEECH_STARTS, SPEECH_IS_CERTAIN = 0.08, 0.18
"""Opening predicted by SpeechToExpression between which speech is recognised: noise stays below 0.03, real voices reach
0.2 within any third of a second of speech. The voice detector has not learned the pauses of clean recordings."""
RAISE_SHARE: Final = 0.3
"""Weight of the raised or lowered lips in this opening, relative to the jaw."""
SILENCE_DB: Final = (-35.0, -25.0)
"""Level relative to the mean of the surroundings at which the mouth is closed, and from which on it is free."""
SILENCE_REACH: Final = 4
"""Frames around sound in which the mouth is free: real lips open before a sound and close after it."""
LEVEL_FRAMES: Final = 200
"""Half width of the surroundings."""
_NO_POWER: Final = 1e-12
LIKELY_CLOSURE: Final = (0.10, 0.20)
"""Values of ``lips_closed`` between which the lips close where LipMotion predicts a small opening."""
UNLIKELY_CLOSURE: Final = (0.80, 0.90)
"""The same where it predicts a large opening: only a certain closure is believed there."""
SMALL_OPENING, LARGE_OPENING = -0.75, 0.4
"""Predicted openings, in standard deviations from the mean, that count as small and as large in this."""
CLOSURE_SHARPNESS: Final = 2
"""Power of the closure, which shortens it: lips of real speakers hardly rest in p, b and m. With 3, some of them would
not be complete. All limits were chosen together: r of the opening is 0.013 below that without closures in 16 recordings
that were not learned, and 0.977 of 345 synthetic p, b and m are complete."""


class MouthPredictions(NamedTuple):
    """What both networks predict: ``curves`` (T, 7) of SpeechToExpression and ``track`` of LipMotion."""

    curves: Float32Array
    track: LipTrack


@dataclass
class MouthMotion:
    """Both predictors of the mouth."""

    shapes: SpeechToMotion
    lips: LipCurves

    def predict(self, speech: Speech, response: LipResponse | None = None) -> Float32Array:
        """Return mouth coefficients (T, 8) in the order of MOUTH_SHAPES; row i is the motion at i / 25 s.

        response: how the lips of the portrait move, by default those of an average portrait.
        """
        return self.combine(self.analyse(speech), response)

    def analyse(self, speech: Speech) -> MouthPredictions:
        """Return what both networks predict, which does not depend on the portrait."""
        curves = self.shapes.predict_curves(speech.reported_blocks(SHAPES_SHARE), speech.frames)
        return MouthPredictions(curves, self.lips.predict(speech.reported_blocks(LIPS_SHARE), speech.frames))

    def combine(self, predictions: MouthPredictions, response: LipResponse | None = None) -> Float32Array:
        """Return mouth coefficients (T, 8) as :meth:`predict` does."""
        return combine(*predictions, self.lips.lip_motion.config, response or LipResponse())

    def opening(self, predictions: MouthPredictions) -> Float32Array:
        """Return the predicted distance of the lips (T,), see :func:`predicted_opening`; it is not 0 in noise."""
        return predicted_opening(predictions.track, self.lips.lip_motion.config)


def open_mouth_motion(trained: TrainedWeights | None = None, device: str = "cpu") -> MouthMotion:
    """Load the shipped networks, or those of ``trained``, on a device."""
    if trained is None:
        return MouthMotion(open_speech_to_motion(device=device), open_lip_curves(device=device))
    lips = open_lip_curves(trained.lip_motion, trained.voice_detector, device)
    return MouthMotion(open_speech_to_motion(trained.speech_to_expression, device), lips)


def combine(
    curves: Float32Array, track: LipTrack, typical: LipMotionConfig, response: LipResponse | None = None
) -> Float32Array:
    """Return mouth coefficients (T, 8) that open and widen the mouth as the track of LipMotion says.

    curves: (T, 7) of SpeechToExpression, columns SPEECH_SHAPES. typical: mean and spread of real lips, with which the
    track is scaled. response: see :meth:`MouthMotion.predict`.
    """
    mouth, response = gate_closures(curves), response or LipResponse()
    if len(mouth) == 0:
        return mouth
    closed = confident_closures(curves[:, SPEECH_SHAPES.index("lips_closed")], track.lips[:, 0])
    mouth[:, MOUTH_SHAPES.index("lips_closed")] = closed
    lips = advance(track.lips, LEAD_S)
    tuck = mouth[:, MOUTH_SHAPES.index("lip_tuck")]
    tuck[:] = confident_tucks(tuck, lips[:, 0])
    voiced = voice_gate(track.voice, OPENING_REACH) * speech_gate(curves, OPENING_REACH)
    mouth *= voiced[:, None]
    relative = 1.0 + WIDTH_GAIN * typical.width_scale / typical.width_mean * lips[:, 1]
    seen = predicted_opening(track, typical)
    audible = sound_gate(track.power)
    change = response.width_for(relative, np.maximum(seen, 0.0) * audible * (1.0 - closed) - typical.opening_mean) - 1.0
    change *= voice_gate(track.voice, WIDTH_REACH) * speech_gate(curves, WIDTH_REACH)
    width = 1.0 + change
    opening = response.opening_for(seen, width)
    mouth = with_opening(mouth, tucked_opening(opening * audible * voiced, tuck))
    return with_width(mouth, width, response.excess_width)


def predicted_opening(track: LipTrack, typical: LipMotionConfig) -> Float32Array:
    """Return the distance of the lips (T,) that LipMotion predicts, in distances of the outer eye corners."""
    return typical.opening_mean + OPENING_GAIN * typical.opening_scale * advance(track.lips, LEAD_S)[:, 0]


def advance(curves: Float32Array, lead_s: float) -> Float32Array:
    """Return the curves (T, D) moved ``lead_s`` earlier; the last row is repeated."""
    frames = np.arange(len(curves))
    columns = [np.interp(frames + lead_s * FRAME_RATE_HZ, frames, column) for column in curves.T]
    return np.stack(columns, axis=1).astype(np.float32)


def voice_gate(logits: Float32Array, reach: int) -> Float32Array:
    """Return (T,) in [0, 1]: 1 within ``reach`` frames of a voice. logits: (T,) of the voice detector.

    It is 0 in noise and in music without singing.
    """
    half = VOICE_SMOOTHING // 2
    kernel = np.full(VOICE_SMOOTHING, 1.0 / VOICE_SMOOTHING)
    smooth = np.convolve(np.pad(logits, half, mode="edge"), kernel, mode="valid")
    return _soft_gate(smooth.astype(np.float32), reach, VOICE_LOGITS)


def speech_gate(curves: Float32Array, reach: int) -> Float32Array:
    """Return (T,) in [0, 1]: 1 within ``reach`` frames of speech that SpeechToExpression recognises, 0 in pauses."""
    return _soft_gate(_opening_of(curves), reach, (SPEECH_STARTS, SPEECH_IS_CERTAIN))


def spoken_opening(predictions: MouthPredictions) -> Float32Array:
    """Return the opening (T,) that both SpeechToExpression and the voice detector recognise as speech."""
    return _opening_of(predictions.curves) * voice_gate(predictions.track.voice, OPENING_REACH)


def _opening_of(curves: Float32Array) -> Float32Array:
    """Return the opening (T,) of curves (T, 7) of SpeechToExpression, which is near 0 without speech."""
    part = {name: curves[:, index] for index, name in enumerate(SPEECH_SHAPES)}
    opening: Float32Array = part["jaw_open"] + RAISE_SHARE * (part["upper_lip_raise"] + part["lower_lip_drop"])
    return opening


def sound_gate(power: Float32Array) -> Float32Array:
    """Return (T,) in [0, 1]: 0 where the sound is silent for more than twice :data:`SILENCE_REACH` frames.

    power: (T,) mean square of the samples; it is compared with its mean over :data:`LEVEL_FRAMES` to both sides.
    """
    sums = np.concatenate([[0.0], np.cumsum(power, dtype=np.float64)])
    frames = np.arange(len(power))
    first, after = np.maximum(frames - LEVEL_FRAMES, 0), np.minimum(frames + LEVEL_FRAMES + 1, len(power))
    mean = (sums[after] - sums[first]) / (after - first)
    level_db = 10.0 * np.log10(np.maximum(power, _NO_POWER) / np.maximum(mean, _NO_POWER))
    return _soft_gate(level_db.astype(np.float32), SILENCE_REACH, SILENCE_DB)


def _soft_gate(values: Float32Array, reach: int, limits: tuple[float, float]) -> Float32Array:
    """Return (T,) in [0, 1] for the largest value within ``reach`` frames, 0 and 1 at the limits, smooth in time."""
    padded = np.pad(values.astype(np.float64), reach, mode="edge")
    nearby = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    certain = smoothstep((nearby - limits[0]) / (limits[1] - limits[0]))
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0
    gate: Float32Array = np.convolve(np.pad(certain, 2, mode="edge"), kernel, mode="valid").astype(np.float32)
    return gate


def confident_closures(closed: Float32Array, opening: Float32Array) -> Float32Array:
    """Return ``lips_closed`` (T,), complete or dropped where ``closed`` (T,) of SpeechToExpression is not certain.

    opening: (T,) of LipMotion. Where both agree, the lips close at a low value of ``closed``: viewers notice lips that
    stay apart in p, b or m. Closures that real lips do not make would hide the real movement.
    """
    share = np.clip((opening - SMALL_OPENING) / (LARGE_OPENING - SMALL_OPENING), 0.0, 1.0)
    low, high = (a + share * (b - a) for a, b in zip(LIKELY_CLOSURE, UNLIKELY_CLOSURE, strict=True))
    believed: Float32Array = (smoothstep((closed - low) / (high - low)) ** CLOSURE_SHARPNESS).astype(np.float32)
    return believed
