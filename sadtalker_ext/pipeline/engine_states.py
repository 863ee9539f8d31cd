"""Which engines there are, and whether each can work: looked up without opening one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.pipeline.inputs import ALL, USES
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sadtalker_ext.weights.catalog import Checkpoint

MISSING = "missing"
"""The problem of a file that is nowhere."""


@dataclass(frozen=True)
class CheckpointState:
    """One file: where it is (None: nowhere), and what is wrong with it.

    problem: a sentence, :data:`MISSING` where there is no such file, or empty.
    """

    name: str
    purpose: str
    size_bytes: int
    licence: str
    path: Path | None
    problem: str
    note: str = ""


@dataclass(frozen=True)
class EngineState:
    """ready: whether a video can be asked for. words: a sentence on its state.

    references: what it can take from a reference video, as its spec says; empty when it takes none.
    """

    name: str
    label: str
    ready: bool = True
    words: str = "Ready."
    checkpoints: tuple[CheckpointState, ...] = ()
    references: tuple[str, ...] = ()


ENGINES = {
    "starter": EngineState("starter", "Starter: ships with the package, works at once"),
    "sadtalker": EngineState(
        "sadtalker", "SadTalker: the networks of the paper, from its published checkpoints", references=USES
    ),
}
"""What is known of each before any file is looked for; the engines' own specs need their networks."""


REMEDY = "Start again without --skip-install, or install it by hand as the README says."


def missing_packages() -> list[str]:
    """Sentences about optional packages that are missing or of no use, what does not work, and the remedy."""
    from importlib.util import find_spec

    from sadtalker_ext.faces.private_packages import host_has_face_models, private_has_face_models

    sentences = []
    if find_spec("imageio_ffmpeg") is None:
        sentences.append(f"No video can be made: the package imageio-ffmpeg is missing. {REMEDY}")
    if find_spec("face_alignment") is not None:
        return sentences
    if host_has_face_models() or private_has_face_models():
        return sentences
    if find_spec("mediapipe") is None:
        sentences.append(f"Faces are not found by themselves: the package mediapipe is missing. {REMEDY}")
    else:
        sentences.append(f"Faces are not found by themselves: the installed mediapipe has no face models. {REMEDY}")
    return sentences


def engine_names() -> tuple[str, ...]:
    """The engines a person may choose."""
    return next(described.choices for described in Settings.knobs() if described.name == "engine")


def engine_states(folders: Sequence[Path], deep: bool = False) -> list[EngineState]:
    """The state of every engine; ``deep`` reads every checkpoint wholly, which takes seconds for each."""
    return [engine_state(name, folders, deep) for name in engine_names()]


def engine_state(name: str, folders: Sequence[Path], deep: bool = False) -> EngineState:
    """The state of one engine by the files in ``folders``."""
    from sadtalker_ext.weights.catalog import RECOMMENDED

    known = ENGINES.get(name, EngineState(name, name))
    if name != "sadtalker":
        return known
    if state := trained_state(known, folders):
        return state
    states = tuple(checkpoint_state(entry, folders, deep) for entry in RECOMMENDED)
    bad = [state for state in states if state.problem]
    missing = [state for state in bad if state.path is None]
    if not bad:
        return replace(known, words="All checkpoints are here.", checkpoints=states)
    size = sum(state.size_bytes for state in missing) / 1e6
    words = f"{len(missing)} of {len(states)} checkpoints are missing ({size:,.0f} MB to download)." if missing else ""
    damaged = ", ".join(state.name for state in bad if state.path is not None)
    words += f" These cannot be used: {damaged}." if damaged else ""
    return replace(known, ready=False, words=words.strip(), checkpoints=states)


def trained_state(known: EngineState, folders: Sequence[Path]) -> EngineState | None:
    """The state where a trained export comes before published checkpoints; None leaves it to those."""
    from sadtalker_ext.errors import WeightsError
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
        return replace(known, ready=False, words=str(e))
    if path is None or config is None or not trained:
        return None
    if config.coefficients == PUPPET:
        known = replace(known, references=tuple(use for use in known.references if use != ALL))
    missing_packages = [entry.converted for entry in MAPPINGS.values() if find_checkpoint(entry, [path.parent]) is None]
    if missing_packages:
        words = f"Beside {path.name} there is no {' and no '.join(missing_packages)}."
        return replace(known, ready=False, words=words)
    return replace(known, words=f"Trained networks for {config.size_px} pixels: {path}.")


def checkpoint_state(entry: Checkpoint, folders: Sequence[Path], deep: bool) -> CheckpointState:
    """Look for one file; without ``deep`` only its place and size are looked at."""
    from sadtalker_ext.errors import WeightsError
    from sadtalker_ext.weights.check import check_checkpoint
    from sadtalker_ext.weights.files import find_checkpoint, find_look_alike, require_checkpoint

    known = (entry.name, entry.purpose, entry.size_bytes, entry.licence)
    try:
        if find_checkpoint(entry, folders) is None and find_look_alike(entry.name, folders) is None:
            return CheckpointState(*known, None, MISSING)
        if deep:
            verdict = check_checkpoint(entry, folders)
            return CheckpointState(*known, verdict.path, verdict.problem, verdict.note)
        path = require_checkpoint(entry, folders)
        size = path.stat().st_size
    except WeightsError as e:
        return CheckpointState(*known, None, str(e))
    except OSError as e:
        return CheckpointState(*known, None, f"{entry.name} cannot be read ({e.strerror or e}); check its permissions")
    cut = path.name == entry.name and size < entry.size_bytes // 2
    problem = f"{path} has {size:,} bytes of {entry.size_bytes:,}: it is cut short; download it again" if cut else ""
    return CheckpointState(*known, path, problem)
