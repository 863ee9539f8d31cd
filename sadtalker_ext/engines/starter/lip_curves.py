"""Opening and width of the mouth from speech of any length, in constant memory.

The encoder reads windows of about six seconds at fixed places, each of which gives the frames of about four seconds in
its middle. The result therefore does not depend on how the sound is divided into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.audio.overlapping_windows import overlapping_windows
from sadtalker_ext.constants import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from sadtalker_ext.models.speech_encoder import FIRST_CENTRE, RECEPTIVE_FIELD, SAMPLES_PER_FEATURE
from sadtalker_ext.weights.errors import checkpoint_error
from sadtalker_ext.weights.speech_encoder import load_speech_encoder
from sadtalker_ext.weights.starter import load_lip_motion, load_voice_detector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sadtalker_ext.arrays import Float32Array, Samples
    from sadtalker_ext.models.lip_motion import LipMotion
    from sadtalker_ext.models.speech_encoder import SpeechEncoder
    from sadtalker_ext.models.voice_detector import VoiceDetector

FRAME_SAMPLES: Final = round(SAMPLE_RATE_HZ / FRAME_RATE_HZ)
WINDOW_FRAMES: Final = 96
"""Frames of a window; 96 frames are 160 features."""
CONTEXT_FRAMES: Final = 24
"""Frames that the encoder reads before and after those of a window; longer contexts were not better (measured)."""
PIECE_FRAMES: Final = 2500
"""Frames whose outputs are computed at once, which limits the working memory."""
SPEECH_RMS: Final = 0.06
"""Level to which a window is scaled, that of the encoder's training data roughly."""
QUIETEST_RMS: Final = 0.001
"""Quieter windows are scaled as if they had this level, so that silence is not amplified to noise."""


class FrameFeatures(NamedTuple):
    """Encoder features (T, D) at 25 Hz and the mean square of the samples (T,) of each frame."""

    features: Float32Array
    power: Float32Array


class LipTrack(NamedTuple):
    """Outputs of the networks that read the features of the encoder, one row per frame.

    lips: (T, 2) opening and width of the mouth, in standard deviations from the speaker's mean. power: (T,) mean square
    of the samples. voice: (T,) logit of a voice, see :class:`~sadtalker_ext.models.voice_detector.VoiceDetector`.
    """

    lips: Float32Array
    power: Float32Array
    voice: Float32Array


@dataclass
class LipCurves:
    """Encoder, lip motion and voice detector on a device, in inference mode; the last two read the same layers."""

    encoder: SpeechEncoder
    lip_motion: LipMotion
    voice_detector: VoiceDetector
    device: str = "cpu"

    def __post_init__(self) -> None:
        for network in (self.encoder, self.lip_motion, self.voice_detector):
            network.to(self.device).eval()

    def predict(self, blocks: Iterator[Samples], frames: int) -> LipTrack:
        """Return the track of ``frames`` frames; row i is the mouth at i / 25 s.

        blocks: consecutive mono 16 kHz samples in [-1, 1].
        """
        import torch

        if frames <= 0:
            return LipTrack(np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros(0, np.float32))
        lips, power, voice = (
            np.empty((frames, 2), np.float32),
            np.empty(frames, np.float32),
            np.empty(frames, np.float32),
        )
        pieces = _Pieces(self, lips, power)
        done = 0
        with torch.inference_mode():
            for window in stream_features(self.encoder, self.lip_motion.config.layers, blocks, frames):
                rows = slice(done, done + len(window.power))
                features = torch.from_numpy(window.features).to(self.device)
                voice[rows] = self.voice_detector(features).float().cpu().numpy()
                power[rows] = window.power
                pieces.add(self.lip_motion.project(features).float().cpu().numpy())
                done = rows.stop
        return LipTrack(lips, power, voice)

    def combine(self, projected: Float32Array, power: Float32Array) -> Float32Array:
        """Return opening and width (T, 2) of ``LipMotion.project`` (T, columns) and power (T,)."""
        import torch

        piece = self.lip_motion.combine(*(torch.from_numpy(part)[None].to(self.device) for part in (projected, power)))
        curves: Float32Array = piece[0].float().cpu().numpy()
        return curves


class _Pieces:
    """Computes ``lips`` (T, 2) in pieces that overlap by all frames on which an output depends.

    Projected features are kept as long as a piece needs them, in memory that is allocated once: small arrays of each
    window would fragment the heap (120 MB in an hour). power: (T,) filled up to the frames that are added.
    """

    def __init__(self, curves: LipCurves, lips: Float32Array, power: Float32Array) -> None:
        config = curves.lip_motion.config
        self.curves, self.lips, self.power, self.reach = curves, lips, power, config.dependence
        rows = min(len(lips), PIECE_FRAMES + 2 * self.reach) + WINDOW_FRAMES
        self.kept = np.empty((rows, config.columns), np.float32)
        self.first = self.after = self.done = 0

    def add(self, projected: Float32Array) -> None:
        """Add the next frames and compute the pieces that are complete."""
        self.kept[self.after - self.first :][: len(projected)] = projected
        self.after += len(projected)
        while self.done < len(self.lips) and self.after >= min(self.done + PIECE_FRAMES + self.reach, len(self.lips)):
            self._compute()

    def _compute(self) -> None:
        start = max(self.done - self.reach, 0)
        stop = min(self.done + PIECE_FRAMES + self.reach, len(self.lips))
        piece = self.curves.combine(self.kept[start - self.first : stop - self.first], self.power[start:stop])
        rows = self.lips[self.done : self.done + PIECE_FRAMES]
        rows[:] = piece[self.done - start :][: len(rows)]
        self.done += len(rows)
        needed = max(self.done - self.reach, self.first)
        self.kept[: self.after - needed] = self.kept[needed - self.first : self.after - self.first].copy()
        self.first = needed


def stream_features(
    encoder: SpeechEncoder, layers: Sequence[int], blocks: Iterator[Samples], frames: int
) -> Iterator[FrameFeatures]:
    """Yield the features of up to :data:`WINDOW_FRAMES` frames each, ``frames`` in total.

    Silence is assumed before the first and after the last sample.
    """
    import torch

    device = next(encoder.parameters()).device
    step, context = WINDOW_FRAMES * FRAME_SAMPLES, CONTEXT_FRAMES * FRAME_SAMPLES
    starts = range(0, frames, WINDOW_FRAMES)
    margins = (context, context + RECEPTIVE_FIELD - SAMPLES_PER_FEATURE)
    # All windows are whole, so that the last frames do not depend on how many follow.
    for start, samples in zip(starts, overlapping_windows(blocks, len(starts) * step, step, margins), strict=True):
        count = min(WINDOW_FRAMES, frames - start)
        rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
        scaled = np.clip(samples * (SPEECH_RMS / max(rms, QUIETEST_RMS)), -1.0, 1.0).astype(np.float32)
        with torch.inference_mode():
            outputs = encoder.layer_outputs(torch.from_numpy(scaled)[None].to(device), layers)
            at_features = torch.cat(outputs, -1)[0].float().cpu().numpy()
        own = samples[CONTEXT_FRAMES * FRAME_SAMPLES :][: count * FRAME_SAMPLES].reshape(count, -1)
        yield FrameFeatures(_at_frames(at_features, count), np.square(own).mean(1, dtype=np.float32))


def _at_frames(features: Float32Array, count: int) -> Float32Array:
    """Interpolate the features of a window at the times of its frames."""
    samples = (np.arange(count) + CONTEXT_FRAMES) * FRAME_SAMPLES
    place = (samples - FIRST_CENTRE) / SAMPLES_PER_FEATURE
    low = place.astype(np.intp)
    share = (place - low)[:, None].astype(np.float32)
    rows: Float32Array = features[low] * (1 - share) + features[low + 1] * share
    return rows


def open_lip_curves(path: Path | None = None, detector: Path | None = None, device: str = "cpu") -> LipCurves:
    """Load the shipped encoder on a device, and LipMotion and VoiceDetector, shipped or from these files.

    WeightsError if they do not read the same layers of the encoder.
    """
    encoder, lips, voice = load_speech_encoder(), load_lip_motion(path), load_voice_detector(detector)
    width, numbers = encoder.config.width, range(1, encoder.config.layers + 1)
    for file, config in ((path, lips.config), (detector, voice.config)):
        layers = config.layers
        valid = config.width == width and layers and list(layers) == sorted(set(layers)) and set(layers) <= set(numbers)
        if file and not (valid and lips.config.layers == voice.config.layers):
            raise checkpoint_error(
                file, f"reads the layers {layers} of the speech encoder and {config.width} channels, but LipMotion "
                f"and VoiceDetector must read the same layers and {width} channels; train it again with this version",
            )  # fmt: skip
    return LipCurves(encoder, lips, voice, device)
