"""Check of a training run: exported weights against the training state, data against the run, and predicted motion.

What training and inference compute differs most often because a file is older than the training state, was exported
from other weights, or belongs to another data set.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from sadtalker_ext.errors import SadTalkerError, WeightsError
from sadtalker_ext.models.folding import fold
from sadtalker_ext.training.clips.check_motion import ROUGH_TRACK, roughness
from sadtalker_ext.training.clips.check_report import Finding, merge
from sadtalker_ext.training.clips.data_digest import describe_clips
from sadtalker_ext.training.clips.dataset import ClipInfo
from sadtalker_ext.training.core.checkpoint import DATA_KEY
from sadtalker_ext.training.core.loop import CHECKPOINT_NAME
from sadtalker_ext.training.sadtalker.audio_windows import ClipWindowSampler
from sadtalker_ext.training.sadtalker.exp_net import FILE_NAME as EXP_NET_FILE
from sadtalker_ext.training.sadtalker.exp_net import FRAMES, audio_inputs, load_exp_net
from sadtalker_ext.weights.official import COEFFICIENTS_KEY, MAPPINGS
from sadtalker_ext.weights.packaged import read_metadata
from sadtalker_ext.weights.state_dict import PACKAGED_PREFIXES, read_pickle, read_safetensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    State = Mapping[str, Mapping[str, Tensor]]
    """State dicts by the name of the network."""

TOLERANCE: Final = 1e-6
"""Relative difference of equal weights; exports are exact copies."""
OUTPUT_TOLERANCE: Final = 1e-3
"""Relative difference of predictions; folding batch norms changes them by about 1e-6."""
EXPORT_FOLDER: Final = "export"
PACKAGED_PATTERN: Final = "SadTalker_V*.safetensors"
STAGE_OF_PREFIX: Final = {
    "audio2exp.": "exp_net", "audio2pose.": "pose_vae", "generator.": "renderer", "kp_extractor.": "renderer",
}  # fmt: skip
"""Folder of the run behind each key prefix of a packaged file."""
DISCRIMINATOR_PREFIX: Final = "netD_motion."
CLIPS: Final = 8
"""Held-out clips whose lips are predicted."""
DEAD_SHARE: Final = 0.1
"""Motion of the prediction relative to that of the targets, below which it counts as no motion."""


def check_run(run: Path, data: Path) -> list[Finding]:
    """Return the problems of a run, or of all runs of ``train all`` in a folder. data: the data set.

    WeightsError if there is no run in the folder.
    """
    info, present = ClipInfo.load(data), describe_clips(data)
    single = (run / CHECKPOINT_NAME).is_file()
    folders = [run] if single else sorted(path.parent for path in run.glob(f"*/{CHECKPOINT_NAME}"))
    if not folders:
        raise WeightsError(f"{run} has no {CHECKPOINT_NAME}; name the folder of a run, or that of train all")
    findings: list[Finding] = []
    states: dict[str, State] = {}
    for folder in folders:
        try:
            states[folder.name], trained_on = read_run(folder)
            if trained_on not in ("", present):
                findings.append(_other_data(folder.name, f"trained on {trained_on}; these are {present}"))
            findings += _check_files(folder, states[folder.name], info)
            if (folder / EXP_NET_FILE).is_file():
                findings += check_prediction(folder, states[folder.name], data)
        except SadTalkerError as error:
            findings.append(_differs(folder.name, str(error)))
    findings += _check_export(run / EXPORT_FOLDER, states)
    return merge(findings)


def read_run(folder: Path) -> tuple[State, str]:
    """Return the averaged weights of the training state, which are exported, and the description of the data.

    The weights have the names of the networks. The description is empty in states of earlier versions.
    """
    content: Any = read_pickle(folder / CHECKPOINT_NAME)
    averages, record = content.get("averages"), content.get("record", "{}")
    try:
        trained_on = str(json.loads(record).get(DATA_KEY, ""))
    except (TypeError, ValueError, AttributeError):
        averages = None
    if not isinstance(averages, dict) or not all(isinstance(state, dict) for state in averages.values()):
        raise WeightsError(f"{folder / CHECKPOINT_NAME} is no training state; repeat the command of the run")
    return averages, trained_on


def find_state(tensors: Mapping[str, Tensor], averages: State) -> Mapping[str, Tensor] | None:
    """Return the averaged weights with these keys: a network or a part of one; None if there is none.

    The file of PoseVAE also has the discriminator.
    """
    critic = {f"{DISCRIMINATOR_PREFIX}{key}": value for key, value in averages.get("discriminator", {}).items()}
    for state in averages.values():
        for prefix in ("", *sorted({key.partition(".")[0] + "." for key in state})):
            part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            for candidate in (part, {**part, **critic}):
                if set(candidate) == set(tensors):
                    return candidate
    return None


def difference(tensors: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> tuple[str, float]:
    """Return the tensor with the largest difference, relative to its largest value, and that difference."""
    worst = ("", 0.0)
    for key, expected in state.items():
        if tensors[key].shape != expected.shape:
            return key, float("inf")
        gap = (tensors[key].double() - expected.double()).abs().max() if expected.numel() else torch.zeros(())
        share = float(gap) / max(float(expected.double().abs().max()) if expected.numel() else 0.0, 1e-12)
        worst = max(worst, (key, share), key=lambda one: one[1])
    return worst


def _check_files(folder: Path, averages: State, info: ClipInfo) -> Iterator[Finding]:
    """Compare each file of a run with its training state, and its header with the data set."""
    for path in sorted(folder.glob("*.safetensors")):
        place, tensors = f"{folder.name}/{path.name}", read_safetensors(path)
        yield from _compare(place, tensors, find_state(tensors, averages))
        header = read_metadata(path)
        kind, size = header.get(COEFFICIENTS_KEY, info.coefficients), header.get("size_px", str(info.size_px))
        if kind != info.coefficients:
            yield _other_data(place, f"coefficients {kind}, data {info.coefficients}")
        elif size != str(info.size_px) and info.size_px % int(size):
            yield _other_data(place, f"trained at {size} pixels, data {info.size_px}")


def _compare(place: str, tensors: Mapping[str, Tensor], state: Mapping[str, Tensor] | None) -> Iterator[Finding]:
    if state is None:
        yield _differs(place, "its tensors are those of no network in the training state")
        return
    key, share = difference(tensors, state)
    if share > TOLERANCE:
        yield _differs(place, f"{key} differs by {100 * share:.3g} %")


def _check_export(folder: Path, states: Mapping[str, State]) -> Iterator[Finding]:
    """Compare the files for the engine with the training states of the runs they were exported from."""
    for path in sorted(folder.glob(PACKAGED_PATTERN)):
        everything = read_safetensors(path)
        for prefix in PACKAGED_PREFIXES:
            stage = STAGE_OF_PREFIX.get(prefix, "")
            tensors = {key.removeprefix(prefix): one for key, one in everything.items() if key.startswith(prefix)}
            if tensors and stage in states:
                place = f"{folder.name}/{path.name} ({prefix}*)"
                yield from _compare(place, tensors, find_state(tensors, states[stage]))
    for count, entry in MAPPINGS.items():
        path, stage = folder / entry.converted, f"mapping_{count}"
        if path.is_file() and stage in states:
            tensors = read_safetensors(path)
            yield from _compare(f"{folder.name}/{path.name}", tensors, find_state(tensors, states[stage]))


def check_prediction(folder: Path, averages: State, data: Path) -> Iterator[Finding]:
    """Compare the lips that ExpNet predicts, run as by the engine, with those of the training state and the targets."""
    exported, trained = fold(load_exp_net(folder)), load_exp_net(folder)
    trained.load_state_dict(dict(averages["exp_net"]))
    gaps, shares, rough = [], [], []
    for window in ClipWindowSampler(data, "test", FRAMES).whole_clips(CLIPS):
        arrays = {name: torch.from_numpy(array) for name, array in audio_inputs([window]).items()}
        inputs = (arrays["mel"], arrays["reference"], torch.zeros(1, window.frames, 1))
        with torch.inference_mode():
            served, expected = (network(*inputs)[0].double().numpy() for network in (exported, trained))
        gaps.append(float(np.abs(served - expected).max() / max(float(np.abs(expected).max()), 1e-12)))
        spread = float(np.sqrt(arrays["target"][0].double().numpy().var(axis=0).sum()))
        shares.append(float(np.sqrt(served.var(axis=0).sum())) / max(spread, 1e-12))
        rough.append(roughness(served)[0])
    place = f"{folder.name}/{EXP_NET_FILE}"
    if max(gaps) > OUTPUT_TOLERANCE:
        yield _differs(place, f"the predicted lips differ by {100 * max(gaps):.3g} %")
    yield from _check_motion(place, float(np.median(shares)), float(np.median(rough)))


def _check_motion(place: str, share: float, rough: float) -> Iterator[Finding]:
    if share < DEAD_SHARE:
        yield Finding(
            "no_motion", "the run predicts no motion, although its loss may have fallen",
            "train longer or with a higher --learning-rate; if the loss has long been flat, check the data for clips "
            "whose sound and picture are apart: a network that cannot predict the lips predicts their mean",
            {place: f"{100 * share:.0f} % of the motion of the held-out clips"},
        )  # fmt: skip
    elif rough > ROUGH_TRACK:
        yield Finding(
            "flicker", "the predicted motion flickers",
            "train longer, or lower the --learning-rate; if it remains, check the data for flickering clips",
            {place: f"roughness {rough:.1f} on the held-out clips"},
        )  # fmt: skip


def _differs(place: str, measured: str) -> Finding:
    return Finding(
        "run", "what the engine would load is not what was trained",
        "repeat the command of the run, which writes the files of the training state again, and then sadtalker train "
        "export to an empty folder",
        {place: measured},
    )  # fmt: skip


def _other_data(place: str, measured: str) -> Finding:
    return Finding(
        "run", "the run was trained on other data",
        "check the run with the data set that it was trained on, or train again with this one",
        {place: measured},
    )  # fmt: skip
