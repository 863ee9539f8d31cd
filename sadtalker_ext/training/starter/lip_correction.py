"""Fit of LipCorrection: small convolutional networks that correct the linear map of LipMotion.

Networks alone are slightly worse on new speakers than the linear map. Their errors differ from its errors, so that the
sum of both, in shares that are fitted to predictions of speakers that were left out, raises r of opening and width by
.007 and .009 (standard errors .002 and .004 over 62 speakers). Strong dropout and few steps are what matters: with 400
steps and dropouts of .3 and .2 the networks alone were worse by .02. Networks that learn the residual of the linear
map made r smaller; other pitches and vocal tracts of each recording, unit variance of the features of each recording,
and the outputs of SpeechToExpression changed it by less than the standard error. A second regression that reads both
predictions, their neighbours, slow averages, squares and products made the r of the width smaller by .002 to .006;
smoothing or sharpening the predictions in time did not raise it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sadtalker_ext.models.lip_motion import LipCorrection
from sadtalker_ext.training.starter.lip_regression import speaker_folds, sum_equations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sadtalker_ext.arrays import Float64Array
    from sadtalker_ext.models.lip_motion import LipMotionConfig
    from sadtalker_ext.training.starter.lip_regression import Example

STEPS: Final = 150
"""Few: later the networks learn the speakers instead of speech."""
BATCH, SEGMENT_FRAMES = 20, 100
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 0.1
DROPOUT, INPUT_DROPOUT = 0.5, 0.4
WARM_UP: Final = 0.1
"""Share of the steps in which the learning rate rises; then it falls to zero."""
WHITENING: Final = 0.5
"""Inputs are divided by this power of their standard deviation, which differs a hundredfold between them."""
ERROR_WEIGHT: Final = 0.5
"""Weight of the error of the values beside the loss 1 - r; without it the outputs would have no scale."""
_SMALLEST: Final = 1e-6
_LOG = logging.getLogger(__name__)


class LeftOut(NamedTuple):
    """Predictions (T, 2) for a speaker that was left out of the fits of the linear map and of the networks."""

    linear: Float64Array
    correction: Float64Array


class Batch(NamedTuple):
    """Segments of recordings: inputs (B, T, D), targets (B, T, 2), valid (B, T, 1), 1 where lips were measured."""

    inputs: Tensor
    targets: Tensor
    valid: Tensor


class CorrectionNetwork(nn.Module):
    """LipCorrection and its first layer: inputs (B, T, D) of examples -> outputs of each member (B, T, members, 2)."""

    scale: Tensor

    def __init__(self, spread: Tensor, config: LipMotionConfig) -> None:
        super().__init__()
        scale = spread.clamp(min=_SMALLEST) ** -WHITENING
        self.register_buffer("scale", scale / (spread * scale).square().mean().sqrt())
        self.inner = nn.Linear(len(spread), config.hidden, bias=False)
        self.correction = LipCorrection(config.members, config.units, DROPOUT)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of each member."""
        scaled = inputs * self.scale
        if self.training:
            kept = torch.rand(len(inputs), 1, inputs.shape[2]) > INPUT_DROPOUT
            scaled = scaled * kept / (1.0 - INPUT_DROPOUT)
        outputs: Tensor = self.correction.each(self.inner(scaled))
        return outputs

    def predict(self, inputs: Float64Array) -> Float64Array:
        """Return the mean of the members (T, 2) for inputs (T, D)."""
        with torch.inference_mode():
            outputs: Float64Array = self(torch.from_numpy(inputs).float()[None]).mean(2)[0].double().numpy()
        return outputs


def fit_correction(examples: Sequence[Example], config: LipMotionConfig, seed: int = 0) -> CorrectionNetwork:
    """Return the network fitted to the examples, in inference mode."""
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        spread = np.concatenate([example.inputs for example in examples]).std(axis=0)
        network = CorrectionNetwork(torch.from_numpy(spread).float(), config)
        optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS, pct_start=WARM_UP)
        targets = [example.targets() for example in examples]
        chances = np.array([np.mean(example.weights) * len(example.lips) for example in examples])
        for _ in range(STEPS):
            chosen = random.choice(len(examples), BATCH, p=chances / chances.sum())
            batch = _stack([_segment(examples[index].inputs, targets[index], random) for index in chosen])
            optimizer.zero_grad()
            loss = config.members * correction_loss(network(batch.inputs), batch)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), config.members**0.5)
            optimizer.step()
            schedule.step()
    return network.eval()


def correction_loss(outputs: Tensor, batch: Batch) -> Tensor:
    """Return the mean over members of 1 - r and of the error of the values. outputs: (B, T, members, 2)."""
    valid, targets = batch.valid[..., None], batch.targets[:, :, None]
    count = valid.sum(1, keepdim=True).clamp(min=1.0)
    predicted, measured = ((part - (part * valid).sum(1, keepdim=True) / count) * valid for part in (outputs, targets))
    power = predicted.square().sum(1) * measured.square().sum(1)
    r = (predicted * measured).sum(1) / (power + _SMALLEST).sqrt()
    error = functional.smooth_l1_loss(outputs, targets.expand_as(outputs), reduction="none") * valid
    return (1.0 - r).mean() + ERROR_WEIGHT * error.sum() / (batch.valid.sum() * outputs[0, 0].numel()).clamp(min=1.0)


def _segment(inputs: Float64Array, targets: Float64Array, random: np.random.Generator) -> Batch:
    """Return a random segment (1, T, ...); the last frame of a short recording is repeated and not valid."""
    start = int(random.integers(0, max(len(inputs) - SEGMENT_FRAMES, 0) + 1))
    frames = start + np.arange(SEGMENT_FRAMES)
    inside = np.minimum(frames, len(inputs) - 1)
    lips = targets[inside]
    valid = (frames < len(inputs)) & np.isfinite(lips).all(axis=1)
    parts = (inputs[inside], np.nan_to_num(lips), valid[:, None])
    return Batch(*(torch.from_numpy(part).float()[None] for part in parts))


def _stack(segments: Sequence[Batch]) -> Batch:
    return Batch(*(torch.cat(parts) for parts in zip(*segments, strict=True)))


def predict_left_out(examples: Mapping[str, Example], config: LipMotionConfig, seed: int = 0) -> dict[str, LeftOut]:
    """Return predictions for each example from fits without its speaker, in folds of speakers."""
    predictions = {}
    folds = speaker_folds(examples, seed)
    for number, fold in enumerate(folds):
        _LOG.info("cross-validation: part %d of %d, %d recordings left out", number + 1, len(folds), len(fold))
        others = [example for name, example in examples.items() if name not in fold]
        weights, network = sum_equations(others).solve(), fit_correction(others, config, number)
        for name in fold:
            example = examples[name]
            predictions[name] = LeftOut(example.rows @ weights, network.predict(example.inputs))
    return predictions


def fit_shares(examples: Mapping[str, Example], predictions: Mapping[str, LeftOut]) -> Float64Array:
    """Return the factors (2, 2) of the linear map (row 0) and of the networks (row 1) for opening and width.

    The sum fits the lips best in the sense of least squares, and varies as much as the linear map alone.
    """
    from scipy.optimize import nnls

    shares = np.empty((2, 2))
    for output in range(2):
        parts, lips, weights = [], [], []
        for name, example in examples.items():
            targets = example.targets()
            valid = np.isfinite(targets).all(axis=1)
            parts.append(np.stack([part[valid, output] for part in predictions[name]], axis=1))
            lips.append(targets[valid, output])
            weights.append(np.full(int(valid.sum()), np.sqrt(example.weights[output])))
        columns, root = np.concatenate(parts), np.concatenate(weights)
        fitted = nnls(columns * root[:, None], np.concatenate(lips) * root)[0]
        shares[:, output] = fitted * columns[:, 0].std() / max(float((columns @ fitted).std()), _SMALLEST)
    return shares


def mix(prediction: LeftOut, shares: Float64Array) -> Float64Array:
    """Return the sum (T, 2) of both predictions in their shares."""
    mixed: Float64Array = shares[0] * prediction.linear + shares[1] * prediction.correction
    return mixed
