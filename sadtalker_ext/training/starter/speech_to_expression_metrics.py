"""How well a network reads test streams: what a viewer would see against what the targets want."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from sadtalker_ext.engines.starter.speech_motion import decide
from sadtalker_ext.metrics.sync import mouth_opening, mouth_width, pearson
from sadtalker_ext.models.speech_to_expression import MEL_PER_FRAME, SpeechToExpression
from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.training.corpus.phonemes import ARTICULATED, BILABIALS, SILENCE, SYMBOL_INDEX
from sadtalker_ext.training.starter.speech_features import Features, padded

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLOSED_SHARE: Final = 0.15
"""Lips count as closed when they open less than this share of the speaking mean."""
_BILABIAL: Final = [SYMBOL_INDEX[symbol] for symbol in BILABIALS]


def predict_stream(network: SpeechToExpression, stream: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(T, 7) predicted and target curves of a whole stream at 25 Hz."""
    frames = (len(stream.log_mel) - 1) // MEL_PER_FRAME + 1
    device = next(network.parameters()).device
    before = MEL_PER_FRAME * network.context
    mel = padded(stream.log_mel, -before, MEL_PER_FRAME * (frames + 2 * network.context))
    with torch.no_grad():
        predicted = network(torch.from_numpy(mel.T.copy())[None].to(device))[0].cpu().numpy()
    return predicted, stream.curves[::MEL_PER_FRAME].astype(np.float32)


def judge(network: SpeechToExpression, streams: Sequence[Features]) -> dict[str, float]:
    """Correlations of opening and width, closures made, and opening without a voice over the speaking mean.

    A figure of which the streams say nothing is nan.
    """
    opening_r, width_r, closed, silent, voiceless, speaking = [], [], [], [], [], []
    for stream in streams:
        predicted, target = predict_stream(network, stream)
        symbol = stream.symbols[::MEL_PER_FRAME]
        shown, aim = decide(predicted), in_basis(target)
        seen, wanted = mouth_opening(shown), mouth_opening(aim)
        is_silent = symbol == SYMBOL_INDEX[SILENCE]
        if is_silent.all():
            voiceless.append(seen.mean())
            continue
        opening_r.append(pearson(seen, wanted))
        width_r.append(pearson(mouth_width(shown), mouth_width(aim)))
        closed.append(seen[bilabial_centres(stream.symbols)])
        silent.append(seen[is_silent & (wanted < 0.01)])
        speaking.append(seen[~is_silent])
    mean = _mean(np.concatenate(speaking)) if speaking else float("nan")
    share = mean if mean > 0 else float("nan")
    return {
        "opening_r": _mean(opening_r),
        "width_r": _mean(width_r),
        "speaking_opening": mean,
        "bilabials_closed": _mean(np.concatenate([np.zeros(0), *closed]) < _CLOSED_SHARE * mean),
        "pause_opening": _mean(np.concatenate([np.zeros(0), *silent])) / share,
        "voiceless_opening": _mean(voiceless) / share,
    }


def _mean(values: Sequence[float] | NDArray[Any]) -> float:
    """Not a number where there is nothing to average."""
    return float(np.mean(values)) if len(values) else float("nan")


def bilabial_centres(symbols: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Frames at 25 Hz nearest to the middle of every p, b and m in (M,) symbols at 100 Hz."""
    inside = np.isin(symbols, _BILABIAL).astype(np.int8)
    edges = np.diff(inside, prepend=0, append=0)
    middles = (np.flatnonzero(edges > 0) + np.flatnonzero(edges < 0) - 1) / 2
    last = (len(symbols) - 1) // MEL_PER_FRAME
    frames: NDArray[np.int64] = np.minimum(np.round(middles / MEL_PER_FRAME).astype(np.int64), last)
    return frames


def in_basis(curves: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(T, 7) articulation in the order of ARTICULATED -> (T, 8) in the order of MOUTH_SHAPES; smile stays 0."""
    mouth = np.zeros((len(curves), len(MOUTH_SHAPES)), np.float32)
    mouth[:, [MOUTH_SHAPES.index(name) for name in ARTICULATED]] = curves
    return mouth
