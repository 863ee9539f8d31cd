"""Metrics of a SpeechToExpression network on test streams: the visible mouth movement compared with the targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from sadtalker_ext.engines.starter.speech_motion import gate_closures
from sadtalker_ext.metrics.sync import mouth_opening, mouth_width, pearson
from sadtalker_ext.models.speech_to_expression import MEL_PER_FRAME, SpeechToExpression
from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.training.corpus.phonemes import ARTICULATED, BILABIALS, SILENCE, SYMBOL_INDEX
from sadtalker_ext.training.starter.speech_features import Features, slice_padded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array

_CLOSED_SHARE: Final = 0.15
"""The lips count as closed if they open less than this share of the mean opening during speech."""
_SILENT_TARGET: Final = 0.01
"""Largest target opening that counts as a closed mouth in a pause."""
_BILABIAL: Final = [SYMBOL_INDEX[symbol] for symbol in BILABIALS]


def predict_stream(network: SpeechToExpression, stream: Features) -> tuple[Float32Array, Float32Array]:
    """Return the predicted and the target curves (T, 7) of a whole stream at 25 Hz."""
    frames = (len(stream.log_mel) - 1) // MEL_PER_FRAME + 1
    device = next(network.parameters()).device
    before = MEL_PER_FRAME * network.context
    mel = slice_padded(stream.log_mel, -before, MEL_PER_FRAME * (frames + 2 * network.context))
    with torch.no_grad():
        predicted = network(torch.from_numpy(mel.T.copy())[None].to(device))[0].cpu().numpy()
    return predicted, stream.curves[::MEL_PER_FRAME].astype(np.float32)


def compute_metrics(network: SpeechToExpression, streams: Sequence[Features]) -> dict[str, float]:
    """Return the metrics of ``network`` on ``streams``; nan for a metric that the streams do not determine.

    opening_r, width_r: mean Pearson r of mouth opening and mouth width with their targets.
    speaking_opening: mean opening during speech; 1 is ``jaw_open`` = 1.
    bilabials_closed: share in [0, 1] of the bilabials at which the lips are closed.
    pause_opening, voiceless_opening: opening in pauses, and in streams without speech, over that during speech.
    """
    opening_r, width_r, closed, silent, voiceless, speaking = [], [], [], [], [], []
    for stream in streams:
        predicted, target = predict_stream(network, stream)
        symbol = stream.symbols[::MEL_PER_FRAME]
        mouth, target_mouth = gate_closures(predicted), to_mouth_shapes(target)
        opening, target_opening = mouth_opening(mouth), mouth_opening(target_mouth)
        is_silent = symbol == SYMBOL_INDEX[SILENCE]
        if is_silent.all():
            voiceless.append(opening.mean())
            continue
        opening_r.append(pearson(opening, target_opening))
        width_r.append(pearson(mouth_width(mouth), mouth_width(target_mouth)))
        closed.append(opening[find_bilabial_frames(stream.symbols)])
        silent.append(opening[is_silent & (target_opening < _SILENT_TARGET)])
        speaking.append(opening[~is_silent])
    mean = _mean(np.concatenate(speaking)) if speaking else float("nan")
    reference = mean if mean > 0 else float("nan")
    return {
        "opening_r": _mean(opening_r),
        "width_r": _mean(width_r),
        "speaking_opening": mean,
        "bilabials_closed": _mean(np.concatenate([np.zeros(0), *closed]) < _CLOSED_SHARE * mean),
        "pause_opening": _mean(np.concatenate([np.zeros(0), *silent])) / reference,
        "voiceless_opening": _mean(voiceless) / reference,
    }


def _mean(values: Sequence[float] | Float64Array) -> float:
    """Return the mean; nan without values."""
    return float(np.mean(values)) if len(values) else float("nan")


def find_bilabial_frames(symbols: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the frames at 25 Hz nearest to the centre of each bilabial (p b m) in ``symbols`` (M,) at 100 Hz."""
    inside = np.isin(symbols, _BILABIAL).astype(np.int8)
    edges = np.diff(inside, prepend=0, append=0)
    centres = (np.flatnonzero(edges > 0) + np.flatnonzero(edges < 0) - 1) / 2
    last = (len(symbols) - 1) // MEL_PER_FRAME
    frames: NDArray[np.int64] = np.minimum(np.round(centres / MEL_PER_FRAME).astype(np.int64), last)
    return frames


def to_mouth_shapes(curves: Float32Array) -> Float32Array:
    """Return articulation curves (T, 7), columns ``ARTICULATED``, as (T, 8), columns ``MOUTH_SHAPES``; smile is 0."""
    mouth = np.zeros((len(curves), len(MOUTH_SHAPES)), np.float32)
    mouth[:, [MOUTH_SHAPES.index(name) for name in ARTICULATED]] = curves
    return mouth
