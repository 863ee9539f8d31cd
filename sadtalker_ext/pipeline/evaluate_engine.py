"""Measure an engine on voices: what it predicts, how fast, and what its mouth does where nobody speaks."""

from __future__ import annotations

import time
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.errors import EngineError
from sadtalker_ext.metrics import sync
from sadtalker_ext.metrics.report import Metric
from sadtalker_ext.pipeline.evaluate_video import LipClip, lip_figures, motion_figures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.engines.protocol import Engine, MotionStyle

SAMPLE_RATE_HZ = 16000
QUIET_S = 6.0


@dataclass(frozen=True)
class Prediction:
    """What an engine makes of a voice: figures, and the mean of its mouth opening (1 is jaw_open = 1)."""

    figures: list[Metric]
    opening_mean: float


def predict_figures(engine: Engine, voice: Path, style: MotionStyle, clip: LipClip | None) -> Prediction:
    """Predict motion for a voice and measure it, against a measured speaker where there is one; no picture is drawn."""
    from sadtalker_ext.audio.speech import open_speech
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.puppet.basis import SHAPES

    if engine.spec.name != "starter":
        raise EngineError(
            f"what the engine {engine.spec.name} predicts has no mouth opening before it is drawn; use --render"
        )
    speech = open_speech(voice)
    nothing = np.zeros((1, 3), np.float32)
    source = Motion(np.zeros((1, len(SHAPES)), np.float32), nothing, nothing)
    began_s = time.perf_counter()
    motion = engine.predict_motion(speech, source, style)
    spent_s = time.perf_counter() - began_s
    opening, width = sync.mouth_opening(motion.expression), sync.mouth_width(motion.expression)
    figures = [] if clip is None else lip_figures(opening, width, 25.0, clip)
    figures.append(Metric("opening_mean", float(opening.mean()), "", "", "mean mouth opening; 1 is the jaw wide open"))
    figures += motion_figures(motion.rotation, 25.0, speech)
    figures.append(Metric("speed", speech.duration_s / spent_s, "x", "higher", "seconds of speech per second of work"))
    return Prediction(figures, float(opening.mean()))


def write_quiet_sounds(folder: Path) -> dict[str, Path]:
    """Sounds without a voice, six seconds each, as WAV files by name: silence, noise, music."""
    count = int(QUIET_S * SAMPLE_RATE_HZ)
    noise = 0.1 * np.random.default_rng(0).standard_normal(count)
    sounds = {"silence": np.zeros(count), "noise": noise, "music": 0.3 * chords(count)}
    paths = {}
    for name, samples in sounds.items():
        paths[name] = folder / f"{name}.wav"
        with wave.open(str(paths[name]), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes((32767.0 * np.clip(samples, -1.0, 1.0)).astype("<i2").tobytes())
    return paths


def chords(count: int) -> NDArray[np.float64]:
    """Plucked chords at 120 beats a minute, (count,) samples in about [-1, 1] at 16 kHz."""
    track = np.zeros(count)
    times_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    roots_hz = (220.0, 174.6, 261.6, 196.0)
    for beat, start in enumerate(range(0, count, SAMPLE_RATE_HZ // 2)):
        root_hz = roots_hz[beat // 4 % 4]
        for ratio in (0.5, 1.0, 1.25, 1.5):
            for harmonic in range(1, 6):
                tone = np.sin(2.0 * np.pi * root_hz * ratio * harmonic * times_s) / harmonic**1.5
                tone *= np.exp(-times_s * 3.0 * harmonic**0.5) / 8.0
                end = min(count, start + SAMPLE_RATE_HZ)
                track[start:end] += tone[: end - start]
    return track
