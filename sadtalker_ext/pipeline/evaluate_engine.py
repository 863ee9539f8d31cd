"""Evaluation of the motion that an engine predicts for voices: lip sync, head motion, speed, response to non-speech."""

from __future__ import annotations

import time
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from sadtalker_ext.errors import EngineError
from sadtalker_ext.metrics.report import Metric
from sadtalker_ext.pipeline.evaluate_video import LipClip, lip_metrics, motion_metrics

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array
    from sadtalker_ext.engines.protocol import Engine, MotionStyle
    from sadtalker_ext.geometry.motion import Motion

NON_SPEECH_S: Final = 6.0
NOISE_STD: Final = 0.1
"""Standard deviation of the white noise; 1 is full scale."""
MUSIC_GAIN: Final = 0.3
PCM_SCALE: Final = 32767.0
"""Full scale of 16-bit samples."""
CHORD_ROOTS_HZ: Final = (220.0, 174.6, 261.6, 196.0)
"""A3, F3, C4 and G3, each for four beats."""
CHORD_RATIOS: Final = (0.5, 1.0, 1.25, 1.5)
"""Octave below the root, root, major third and fifth in just intonation."""
HARMONICS: Final = range(1, 6)
BEAT_SAMPLES: Final = SAMPLE_RATE_HZ // 2
"""120 beats per minute."""
TONE_SAMPLES: Final = SAMPLE_RATE_HZ
"""A plucked tone sounds for one second."""


@runtime_checkable
class MouthMeasures(Protocol):
    """Part of engines whose predicted motion can be measured without rendering it."""

    def neutral_motion(self) -> Motion:
        """Return the motion (T = 1) of a neutral face, as a source for the prediction."""
        ...

    def mouth_curves(self, motion: Motion) -> tuple[Float64Array, Float64Array]:
        """Return opening and width of the mouth (T,); opening 1 is the jaw wide open, width 1 the mouth at rest."""
        ...


@dataclass(frozen=True)
class Prediction:
    """Metrics of the motion predicted for a voice, and its mean mouth opening; 1 is the jaw wide open."""

    metrics: list[Metric]
    opening_mean: float


def prediction_metrics(engine: Engine, voice: Path, style: MotionStyle, clip: LipClip | None) -> Prediction:
    """Predict motion for a voice and measure it without rendering.

    clip: measured lips of the speaker, if there are any.

    Raises EngineError if the engine does not offer :class:`MouthMeasures`.
    """
    from sadtalker_ext.audio.speech import open_speech

    if not isinstance(engine, MouthMeasures):
        raise EngineError(
            f"The motion predicted by the engine {engine.spec.name} cannot be measured before it is rendered; measure "
            "a rendered video"
        )
    speech = open_speech(voice, "voice")
    began_s = time.perf_counter()
    motion = engine.predict_motion(speech, engine.neutral_motion(), style)
    spent_s = time.perf_counter() - began_s
    opening, width = engine.mouth_curves(motion)
    metrics = [] if clip is None else lip_metrics(opening, width, FRAME_RATE_HZ, clip)
    metrics.append(Metric("opening_mean", float(opening.mean()), "", "", "mean mouth opening; 1 is the jaw wide open"))
    metrics += motion_metrics(motion.rotation, FRAME_RATE_HZ, speech)
    metrics.append(Metric("speed", speech.duration_s / spent_s, "x", "higher", "seconds of speech per second of work"))
    return Prediction(metrics, float(opening.mean()))


def write_non_speech(folder: Path) -> dict[str, Path]:
    """Write WAV files of six seconds without speech and return their paths by name: silence, noise, music."""
    count = int(NON_SPEECH_S * SAMPLE_RATE_HZ)
    noise = NOISE_STD * np.random.default_rng(0).standard_normal(count)
    clips = {"silence": np.zeros(count), "noise": noise, "music": MUSIC_GAIN * plucked_chords(count)}
    paths = {}
    for name, samples in clips.items():
        paths[name] = folder / f"{name}.wav"
        with wave.open(str(paths[name]), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes((PCM_SCALE * np.clip(samples, -1.0, 1.0)).astype("<i2").tobytes())
    return paths


def plucked_chords(count: int) -> Float64Array:
    """Return plucked chords (count,) at 120 beats per minute, about -1 to 1, at 16 kHz."""
    track = np.zeros(count)
    times_s = np.arange(TONE_SAMPLES) / SAMPLE_RATE_HZ
    for beat, start in enumerate(range(0, count, BEAT_SAMPLES)):
        root_hz = CHORD_ROOTS_HZ[beat // 4 % 4]
        for ratio in CHORD_RATIOS:
            for harmonic in HARMONICS:
                # Amplitude h^-1.5 and a faster decay of higher harmonics, as of a plucked string.
                tone = np.sin(2.0 * np.pi * root_hz * ratio * harmonic * times_s) / harmonic**1.5
                tone *= np.exp(-times_s * 3.0 * harmonic**0.5) / 8.0
                end = min(count, start + TONE_SAMPLES)
                track[start:end] += tone[: end - start]
    return track
