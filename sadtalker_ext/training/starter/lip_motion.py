"""Recipe of LipMotion: a linear map from layers of the speech encoder to real lips, corrected by small networks.

Measured with recordings of 27 speakers (6.2 minutes), five folds by speaker, mean r of opening and width at the best
lag: log-mel spectrogram .42/.33, last layer of the encoder .62/.57, layer 3 .70/.58, layers 2, 3, 4 and 5 together
.73/.61; windows of +-2 or 3 frames were best, and hidden layers of SpeechToExpression added nothing. A slow average
beside the window, weights of recordings for opening and width separately, and lips without half of their drift raised
the r of the width by .005 to .01 on 16 other recordings. Small convolutional networks beside the linear map raised both
further, see ``lip_correction.py``.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.engines.starter.lip_curves import stream_features
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.models.lip_motion import LipMotion, LipMotionConfig, running_mean, slow_average
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.training.core.json_files import write_json
from sadtalker_ext.training.starter.lip_correction import fit_correction, fit_shares, mix, predict_left_out
from sadtalker_ext.training.starter.lip_regression import (
    FOLDS,
    SLOW_DIRECTIONS,
    SLOW_SCALE,
    Example,
    align,
    principal_directions,
    sum_equations,
    weigh,
    windows,
)
from sadtalker_ext.weights.speech_encoder import load_speech_encoder
from sadtalker_ext.weights.starter import save_lip_motion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from sadtalker_ext.arrays import Float64Array
    from sadtalker_ext.models.speech_encoder import SpeechEncoder
    from sadtalker_ext.training.starter.lip_correction import CorrectionNetwork
    from sadtalker_ext.training.starter.lip_recordings import LipRecording
    from sadtalker_ext.training.starter.lip_regression import Score

SLOW_FRAMES: Final = 5
"""Standard deviation in frames of the weights of the slow average; 12, or 3 and 8 together, were not better."""
MEMBERS: Final = 4
"""Networks of the correction; the r of their mean is larger than that of one by .02, at little cost of time. With 8 or
12 it is not larger (16 other recordings)."""
WEIGHTS_FILE: Final = "lip_motion.safetensors"
REPORT_FILE: Final = "report.json"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LipFeatures:
    """Features of the recordings, relative to their running mean: name -> one array (T, width) per layer."""

    layers: dict[str, list[Float64Array]]

    def directions(self) -> list[Float64Array]:
        """Return the principal directions of each layer."""
        count = len(next(iter(self.layers.values())))
        return [principal_directions([arrays[layer] for arrays in self.layers.values()]) for layer in range(count)]


def train_lip_motion(
    recordings: Sequence[LipRecording], folder: Path, config: LipMotionConfig | None = None, commit: str = "unknown"
) -> Path:
    """Fit LipMotion to the recordings and write weights and report to ``folder``; return the path of the weights.

    SettingsError if there are fewer speakers than folds of the cross-validation.
    """
    require_speakers({recording.speaker for recording in recordings})
    make_folder(folder)
    config = with_typical_lips(config or LipMotionConfig(slow_frames=SLOW_FRAMES, members=MEMBERS), recordings)
    features = measure_features(load_speech_encoder(), recordings, config)
    directions = features.directions()
    examples = make_examples(recordings, features, directions, config)
    align(examples)
    weigh(examples)
    left_out = predict_left_out(examples, config, seed=len(examples))
    shares = fit_shares(examples, left_out)
    scores = {name: example.compare(mix(left_out[name], shares)) for name, example in examples.items()}
    report = make_report(recordings, scores)
    _LOG.info("r on speakers that were left out: opening %(opening).3f, width %(width).3f", report)
    network = LipMotion(config)
    weights = shares[0] * sum_equations(examples.values()).solve()
    network.taps.weight = torch.nn.Parameter(tap_weights(weights, directions, config))
    correct(network, fit_correction(list(examples.values()), config), shares[1], directions)
    write_json(folder / REPORT_FILE, report)
    origin = {"recipe": "lip_motion", "commit": commit, "data": json.dumps(report["sources"])}
    figures = {name: report[name] for name in ("speakers", "minutes", "opening", "width", "median_lag_s")}
    path = folder / WEIGHTS_FILE
    save_lip_motion(network, path, {**origin, "figures": json.dumps(figures)})
    return path


def make_examples(
    recordings: Sequence[LipRecording],
    features: LipFeatures,
    directions: Sequence[Float64Array],
    config: LipMotionConfig,
) -> dict[str, Example]:
    """Return the recordings as examples for the fits."""
    examples = {}
    for recording in recordings:
        arrays = features.layers[recording.name]
        rows = regression_rows(arrays, directions, config)
        inputs = regression_rows(arrays, directions, replace(config, reach=0))
        examples[recording.name] = Example(recording.speaker, rows, recording.lips, inputs=inputs)
    return examples


def correct(
    network: LipMotion, fitted: CorrectionNetwork, shares: Float64Array, directions: Sequence[Float64Array]
) -> None:
    """Add the fitted correction to a network in these shares (2,) for opening and width."""
    config = network.config
    columns = sum(part.shape[1] for part in directions)
    inner = (fitted.inner.weight * fitted.scale).detach().double().numpy()
    full = [_unproject(inner[:, :columns].T, directions)]
    if config.slow_frames:
        full.append(_unproject(inner[:, columns:].T, slow_directions(directions)))
    network.inner.weight = torch.nn.Parameter(torch.from_numpy(np.concatenate(full)).float())
    network.correction.load_state_dict(fitted.correction.state_dict())
    factors = torch.from_numpy(np.tile(shares, config.members)).float()
    with torch.no_grad():
        network.correction.head.weight.mul_(factors[:, None, None])
        network.correction.head.bias.mul_(factors)  # type: ignore[union-attr]


def require_speakers(speakers: Set[str]) -> None:
    """Raise SettingsError if there are too few speakers for the cross-validation."""
    if len(speakers) < FOLDS:
        raise SettingsError(
            f"The recordings have {len(speakers)} speakers ({', '.join(sorted(speakers))}); use those of {FOLDS} or "
            "more, because the result is measured on speakers that are left out. If there are more people, put the "
            "videos of each into a separate folder"
        )


def measure_features(
    encoder: SpeechEncoder, recordings: Sequence[LipRecording], config: LipMotionConfig
) -> LipFeatures:
    """Return the encoder features of all recordings, as the engine computes them."""
    layers = {}
    for number, recording in enumerate(recordings, 1):
        blocks = open_speech(recording.sound, "recording").blocks()
        parts = list(stream_features(encoder, config.layers, blocks, len(recording.lips)))
        features = torch.from_numpy(np.concatenate([part.features for part in parts]))[None]
        power = torch.from_numpy(np.concatenate([part.power for part in parts]))[None]
        relative = (features - running_mean(features, power, config.mean_frames, config.gate))[0]
        layers[recording.name] = [part.double().numpy() for part in relative.tensor_split(len(config.layers), dim=1)]
        _LOG.info("features %d of %d: %s", number, len(recordings), recording.name)
    return LipFeatures(layers)


def with_typical_lips(config: LipMotionConfig, recordings: Sequence[LipRecording]) -> LipMotionConfig:
    """Return the config with mean and spread of the lips of the median speaker."""
    by_speaker: dict[str, list[Float64Array]] = {}
    for recording in recordings:
        by_speaker.setdefault(recording.speaker, []).append(recording.lips)
    joined = [np.concatenate(parts) for parts in by_speaker.values()]
    means = np.median([np.nanmean(lips, axis=0) for lips in joined], axis=0)
    scales = np.median([np.nanstd(lips, axis=0) for lips in joined], axis=0)
    return replace(
        config, opening_mean=round(float(means[0]), 4), opening_scale=round(float(scales[0]), 4),
        width_mean=round(float(means[1]), 4), width_scale=round(float(scales[1]), 4),
    )  # fmt: skip


def regression_rows(
    arrays: Sequence[Float64Array], directions: Sequence[Float64Array], config: LipMotionConfig
) -> Float64Array:
    """Return the rows (T, D) of a recording: projected features of the window, then those of the slow average.

    arrays: features (T, width) of each layer.
    """
    rows = windows(_project(arrays, directions), config.reach)
    if not config.slow_frames:
        return rows
    projected = torch.from_numpy(_project(arrays, slow_directions(directions)))
    slow = slow_average(projected[None], config.slow_frames)[0].numpy()
    return np.concatenate([rows, slow], axis=1)


def slow_directions(directions: Sequence[Float64Array]) -> list[Float64Array]:
    """Return the scaled directions (width, K) of each layer that are read in the slow average."""
    return [SLOW_SCALE * part[:, :SLOW_DIRECTIONS] for part in directions]


def tap_weights(weights: Float64Array, directions: Sequence[Float64Array], config: LipMotionConfig) -> torch.Tensor:
    """Return the weights of ``LipMotion.taps`` (outputs * taps, features) from those of :func:`regression_rows`."""
    window, columns = 2 * config.reach + 1, sum(part.shape[1] for part in directions)
    by_tap = [weights[tap * columns :][:columns] for tap in range(window)]
    full = [_unproject(part, directions) for part in by_tap]
    if config.slow_frames:
        full.append(_unproject(weights[window * columns :], slow_directions(directions)))
    by_output = np.stack(full, axis=1)  # (outputs, taps, features)
    return torch.from_numpy(by_output.reshape(-1, by_output.shape[2])).float()


def make_report(recordings: Sequence[LipRecording], scores: Mapping[str, Score]) -> dict[str, Any]:
    """Return the figures of the cross-validation and the sources of the recordings."""
    values = np.array(list(scores.values()))
    sources = sorted({(recording.source, recording.licence) for recording in recordings})
    return {
        "speakers": len({recording.speaker for recording in recordings}),
        "minutes": round(sum(len(recording.lips) for recording in recordings) / 25 / 60, 2),
        "opening": round(float(np.nanmean(values[:, 0])), 4),
        "width": round(float(np.nanmean(values[:, 1])), 4),
        "median_lag_s": round(float(np.median(values[:, 2])), 3),
        "recordings": {
            name: {"opening": round(score.opening, 3), "width": round(score.width, 3), "lag_s": round(score.lag_s, 2)}
            for name, score in scores.items()
        },
        "sources": [f"{source} ({licence})" if licence else source for source, licence in sources],
    }


def _project(arrays: Sequence[Float64Array], directions: Sequence[Float64Array]) -> Float64Array:
    return np.concatenate([array @ part for array, part in zip(arrays, directions, strict=True)], axis=1)


def _unproject(weights: Float64Array, directions: Sequence[Float64Array]) -> Float64Array:
    """Return the weights (outputs, features) of features whose projections have these weights (columns, outputs)."""
    parts = np.split(weights, np.cumsum([part.shape[1] for part in directions])[:-1])
    return np.concatenate([(part @ rows).T for part, rows in zip(directions, parts, strict=True)], axis=1)
