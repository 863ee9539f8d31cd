"""Speech in blocks to mouth coefficients, for any length of sound in constant memory.

The network's convolutions are valid, so pieces of sound that overlap by its context give the same frames as the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.weights.starter import load_speech_to_expression

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from sadtalker_ext.models.speech_to_expression import SpeechToExpression

    Samples = NDArray[np.float32]

SHAPES_OF_SPEECH: Final = (
    "jaw_open", "lips_closed", "pucker", "spread", "lip_tuck", "upper_lip_raise", "lower_lip_drop",
)  # fmt: skip
"""Columns of the network's output."""
FRAMES_AT_ONCE: Final = 250
_SHAPE_GATES: Final = {"lips_closed": (0.10, 0.20), "lip_tuck": (0.15, 0.70)}
"""Below the first value a closure is taken for doubt and left out, above the second it is made complete.

Lips that meet once too often are noticed less than lips that stay apart in p, b or m, so doubt leans towards closing.
"""
CLOSING_RAISES_JAW: Final = 0.6
"""How far the jaw rises for a likely closure: lips that may have to meet in p, b or m are not wide apart."""
JAW_GAIN: Final = 1.25
"""Brings the mean opening of the lips to that of speakers on video, about 0.09 of the distance of the eyes' corners."""


@dataclass
class SpeechToMotion:
    """A network on a device, ready to read speech."""

    network: SpeechToExpression
    device: str = "cpu"

    def __post_init__(self) -> None:
        self.network.to(self.device).eval()

    def predict(self, blocks: Iterator[Samples], frames: int) -> NDArray[np.float32]:
        """Mono 16 kHz blocks in -1..1, without overlap -> (frames, 8) in the order of MOUTH_SHAPES.

        Row i belongs to i / 25 s. Before the first and after the last sample there is silence.
        """
        if frames <= 0:
            return np.zeros((0, len(MOUTH_SHAPES)), np.float32)
        pieces = [self._read(piece) for piece in self._pieces(blocks, frames)]
        return decide(np.concatenate(pieces)[:frames])

    @property
    def _hop(self) -> int:
        """Samples per frame of motion."""
        return 4 * self.network.config.hop

    def _pieces(self, blocks: Iterator[Samples], frames: int) -> Iterator[Samples]:
        """Sound for :data:`FRAMES_AT_ONCE` frames each, with the context before and after them."""
        config, hop = self.network.config, self._hop
        before = self.network.context * hop + config.window // 2
        tail = config.window - config.hop
        kept = np.zeros(before, np.float32)
        for start in range(0, frames, FRAMES_AT_ONCE):
            count = min(FRAMES_AT_ONCE, frames - start)
            need = (count + 2 * self.network.context) * hop + tail
            while len(kept) < need:
                block = next(blocks, None)
                fresh = np.zeros(need - len(kept), np.float32) if block is None else block
                kept = np.concatenate([kept, np.asarray(fresh, np.float32)])
            yield kept[:need]
            kept = kept[count * hop :]

    def _read(self, piece: Samples) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            samples: torch.Tensor = torch.from_numpy(np.ascontiguousarray(piece))[None].to(self.device)
            curves: NDArray[np.float32] = self.network(self.network.log_mel(samples))[0].float().cpu().numpy()
        return curves


def open_speech_to_motion(path: Path | None = None, device: str = "cpu") -> SpeechToMotion:
    """The shipped network, or the one in ``path``, on a device."""
    return SpeechToMotion(load_speech_to_expression(path), device)


def decide(curves: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, 7) network output -> (T, 8) MOUTH_SHAPES: doubtful closures and tucks become complete or none; no smile."""
    mouth = np.zeros((len(curves), len(MOUTH_SHAPES)), np.float32)
    for column, name in enumerate(SHAPES_OF_SPEECH):
        values = np.clip(curves[:, column], 0.0, 1.0)
        if name in _SHAPE_GATES:
            low, high = _SHAPE_GATES[name]
            step = np.clip((values - low) / (high - low), 0.0, 1.0)
            values = step * step * (3.0 - 2.0 * step)
        elif name == "jaw_open":
            likely = np.clip(curves[:, SHAPES_OF_SPEECH.index("lips_closed")], 0.0, 1.0)
            values = np.clip(JAW_GAIN * (values - CLOSING_RAISES_JAW * likely), 0.0, 1.0)
        mouth[:, MOUTH_SHAPES.index(name)] = values
    return mouth
