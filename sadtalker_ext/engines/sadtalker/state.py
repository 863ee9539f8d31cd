"""Whether the checkpoints of the SadTalker engine are present and usable, found without opening the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.entry import MISSING, CheckpointState, EngineState
from sadtalker_ext.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sadtalker_ext.weights.catalog import Checkpoint

REFERENCES: Final = ("eyes", "pose", "eyes+pose", "all")
"""What the official networks can copy from a reference video."""

COMPLETE_SHARE: Final = 0.5
"""A file smaller than this share of the published size is truncated."""


def sadtalker_state(known: EngineState, folders: Sequence[Path], deep: bool) -> EngineState:
    """Return ``known`` with what the files in ``folders`` say; ``deep`` reads every file completely."""
    from sadtalker_ext.weights.catalog import RECOMMENDED

    known = replace(known, references=REFERENCES)
    if trained := trained_state(known, folders):
        return trained
    states = tuple(checkpoint_state(entry, folders, deep) for entry in RECOMMENDED)
    bad = [state for state in states if state.problem]
    if not bad:
        return replace(known, message="All checkpoints are present.", checkpoints=states)
    sentences = []
    if missing := [state for state in bad if state.path is None]:
        size_mb = sum(state.size_bytes for state in missing) / 1e6
        sentences.append(f"{len(missing)} of {len(states)} checkpoints are missing ({size_mb:,.0f} MB to download).")
    if damaged := [state.name for state in bad if state.path is not None]:
        sentences.append(f"These files cannot be used: {', '.join(damaged)}.")
    return replace(known, ready=False, message=" ".join(sentences), checkpoints=states)


def trained_state(known: EngineState, folders: Sequence[Path]) -> EngineState | None:
    """Return the state if trained networks take precedence over the published ones; otherwise None."""
    from sadtalker_ext.weights.files import find_checkpoint
    from sadtalker_ext.weights.official import MAPPINGS
    from sadtalker_ext.weights.packaged import PACKAGED, PUPPET, find_packaged, read_packaged_config

    official = PACKAGED[min(PACKAGED)].name
    path = None
    try:
        path = find_packaged(min(PACKAGED), folders)
        config, trained = read_packaged_config(path) if path is not None else (None, False)
    except WeightsError as e:
        if path is not None and path.name == official:
            return None
        return replace(known, ready=False, message=str(e))
    if path is None or config is None or not trained:
        return None
    if config.coefficients == PUPPET:
        known = replace(known, references=REFERENCES[:-1])
    absent = [entry.converted for entry in MAPPINGS.values() if find_checkpoint(entry, [path.parent]) is None]
    if absent:
        message = f"{path.name} needs {' and '.join(absent)} in the same folder; export the training run again."
        return replace(known, ready=False, message=message)
    return replace(known, message=f"Trained networks for {config.size_px} pixels: {path}.")


def checkpoint_state(entry: Checkpoint, folders: Sequence[Path], deep: bool) -> CheckpointState:
    """Return the state of one file; without ``deep`` only its place and size are checked."""
    from sadtalker_ext.weights.check import check_checkpoint
    from sadtalker_ext.weights.files import find_checkpoint, find_similar_name, require_checkpoint

    known = (entry.name, entry.purpose, entry.size_bytes, entry.licence)
    try:
        if find_checkpoint(entry, folders) is None and find_similar_name(entry.name, folders) is None:
            return CheckpointState(*known, None, MISSING)
        if deep:
            verdict = check_checkpoint(entry, folders)
            return CheckpointState(*known, verdict.path, verdict.problem, verdict.note)
        path = require_checkpoint(entry, folders)
        size_bytes = path.stat().st_size
    except WeightsError as e:
        return CheckpointState(*known, None, str(e))
    except OSError as e:
        return CheckpointState(*known, None, f"{entry.name} cannot be read ({e.strerror or e}); check its permissions")
    problem = ""
    if path.name == entry.name and size_bytes < COMPLETE_SHARE * entry.size_bytes:
        problem = f"{path} has {size_bytes:,} of {entry.size_bytes:,} bytes: it is truncated; download it again"
    return CheckpointState(*known, path, problem)
