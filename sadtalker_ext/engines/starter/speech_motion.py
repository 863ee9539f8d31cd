"""Mouth motion from speech, for audio of any length in constant memory.

The convolutions of the network are unpadded, so chunks of audio that overlap by its receptive field give the same
frames as the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.audio.overlapping_windows import overlapping_windows
from sadtalker_ext.constants import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.weights.errors import checkpoint_error
from sadtalker_ext.weights.starter import load_speech_to_expression

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from sadtalker_ext.arrays import Float32Array, Samples
    from sadtalker_ext.models.speech_to_expression import SpeechToExpression

SPEECH_SHAPES: Final = (
    "jaw_open", "lips_closed", "pucker", "spread", "lip_tuck", "upper_lip_raise", "lower_lip_drop",
)  # fmt: skip
"""Columns of the network's output."""
CHUNK_FRAMES: Final = 250
"""Motion frames computed at once."""
MEL_COLUMNS_PER_FRAME: Final = 4
"""Log-mel columns of the network per motion frame."""
CLOSURE_GATES: Final = {"lips_closed": (0.10, 0.20), "lip_tuck": (0.15, 0.70)}
"""Below the first value a predicted closure is ignored, above the second it is complete.

Viewers notice lips that stay apart in p, b or m more than an extra closure, so the gate of ``lips_closed`` is low.
"""
CLOSURE_RAISES_JAW: Final = 0.6
"""Share of a predicted lip closure that is subtracted from the jaw opening, so that the lips can meet."""
JAW_GAIN: Final = 1.25
"""Brings the mean lip opening to that of speakers on video, about 0.09 of the distance between the eye corners."""


@dataclass
class SpeechToMotion:
    """The network on a device, in inference mode."""

    network: SpeechToExpression
    device: str = "cpu"

    def __post_init__(self) -> None:
        self.network.to(self.device).eval()

    def predict(self, blocks: Iterator[Samples], frames: int) -> Float32Array:
        """Return mouth coefficients (frames, 8) in the order of MOUTH_SHAPES; row i is the motion at i / 25 s.

        blocks: consecutive mono 16 kHz samples in [-1, 1]; silence is assumed before the first and after the last.
        """
        return gate_closures(self.predict_curves(blocks, frames))

    def predict_curves(self, blocks: Iterator[Samples], frames: int) -> Float32Array:
        """Return the output of the network (frames, 7), columns :data:`SPEECH_SHAPES`; blocks: see :meth:`predict`."""
        # Allocated once: small tensors kept from each chunk would fragment the heap.
        curves = np.zeros((max(frames, 0), len(SPEECH_SHAPES)), np.float32)
        for start, chunk in zip(range(0, frames, CHUNK_FRAMES), self._chunks(blocks, frames), strict=True):
            rows = curves[start : start + CHUNK_FRAMES]
            rows[:] = self._predict_chunk(chunk)[: len(rows)]
        return curves

    @property
    def _frame_samples(self) -> int:
        """Samples per motion frame."""
        return MEL_COLUMNS_PER_FRAME * self.network.config.hop

    def _chunks(self, blocks: Iterator[Samples], frames: int) -> Iterator[Samples]:
        """Yield the samples of :data:`CHUNK_FRAMES` frames each, with the receptive field before and after them."""
        config, hop = self.network.config, self._frame_samples
        context, half = self.network.context * hop, config.window // 2
        margins = (context + half, context + config.window - config.hop - half)
        return overlapping_windows(blocks, frames * hop, CHUNK_FRAMES * hop, margins)

    def _predict_chunk(self, chunk: Samples) -> Float32Array:
        import torch

        with torch.inference_mode():
            samples: torch.Tensor = torch.from_numpy(np.ascontiguousarray(chunk))[None].to(self.device)
            curves: Float32Array = self.network(self.network.log_mel(samples))[0].float().cpu().numpy()
        return curves


def open_speech_to_motion(path: Path | None = None, device: str = "cpu") -> SpeechToMotion:
    """Load the shipped network, or the one in ``path``, on a device; WeightsError if it has other inputs or outputs."""
    network = load_speech_to_expression(path)
    config = network.config
    frame_s = MEL_COLUMNS_PER_FRAME * config.hop / SAMPLE_RATE_HZ
    if path and (config.sample_rate_hz, config.shapes, frame_s) != (
        SAMPLE_RATE_HZ, len(SPEECH_SHAPES), 1 / FRAME_RATE_HZ
    ):  # fmt: skip
        raise checkpoint_error(
            path, f"predicts {config.shapes} shapes every {frame_s:g} s from sound of {config.sample_rate_hz} Hz, not "
            f"{len(SPEECH_SHAPES)} shapes every {1 / FRAME_RATE_HZ:g} s; train it again with this version",
        )  # fmt: skip
    return SpeechToMotion(network, device)


def gate_closures(curves: Float32Array) -> Float32Array:
    """Convert the network output (T, 7) to mouth coefficients (T, 8) in the order of MOUTH_SHAPES.

    Uncertain lip closures and tucks become complete or are dropped, and a predicted closure raises the jaw. The eighth
    coefficient, the smile, is zero.
    """
    mouth = np.zeros((len(curves), len(MOUTH_SHAPES)), np.float32)
    for column, name in enumerate(SPEECH_SHAPES):
        values = np.clip(curves[:, column], 0.0, 1.0)
        if name in CLOSURE_GATES:
            low, high = CLOSURE_GATES[name]
            values = smoothstep((values - low) / (high - low))
        elif name == "jaw_open":
            closure = np.clip(curves[:, SPEECH_SHAPES.index("lips_closed")], 0.0, 1.0)
            values = np.clip(JAW_GAIN * (values - CLOSURE_RAISES_JAW * closure), 0.0, 1.0)
        mouth[:, MOUTH_SHAPES.index(name)] = values
    return mouth
