"""Train all networks of the SadTalker engine in turn: data, speech networks, renderer, mappings, export.

Each stage has its own subfolder of the run. An interrupted stage is resumed; a finished stage is skipped.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.training.clips.data_digest import describe_clips
from sadtalker_ext.training.clips.dataset import ClipInfo
from sadtalker_ext.training.clips.practice import PracticePlan, make_practice
from sadtalker_ext.training.clips.practice_portraits import find_portraits
from sadtalker_ext.training.clips.practice_speech import check_source
from sadtalker_ext.training.core.json_files import read_record, write_json
from sadtalker_ext.training.sadtalker import exp_net as exp_net_recipe
from sadtalker_ext.training.sadtalker import export as exported
from sadtalker_ext.training.sadtalker import mapping_net, renderer
from sadtalker_ext.training.sadtalker import pose_vae as pose_vae_recipe
from sadtalker_ext.training.sadtalker.audio_windows import speech_model_size
from sadtalker_ext.training.sadtalker.landmark_loss import bfm_landmarks
from sadtalker_ext.training.sadtalker.model_sizes import renderer_size
from sadtalker_ext.training.sadtalker.renderer_networks import load_renderer
from sadtalker_ext.weights.external_networks import load_lip_reader
from sadtalker_ext.weights.official import MAPPINGS
from sadtalker_ext.weights.packaged import read_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from sadtalker_ext.training.core.plan import Plan

log = logging.getLogger(__name__)

RECORD: Final = "run.json"
TRAINED_ON: Final = "trained_on"
"""Entry of :data:`RECORD`: description of the data. Records of earlier versions do not have it."""
DATA, EXPORT = "data", "export"
PRACTICE_PLANS: Final = {
    "tiny": PracticePlan(clips=8, size_px=32),
    "small": PracticePlan(clips=512, size_px=128),
    "full": PracticePlan(clips=4000, size_px=256, seconds=4.0),
}
"""Practice clips that are made if no data set is given, by name of the size."""


@dataclass(frozen=True)
class TrainAllOptions:
    """Options of :func:`train_all`.

    config: name of the size. pyramid: returns the feature network of the perceptual loss. data: folder of clips, or
    None to make practice clips. portraits, speech, processes: options of the practice clips. face_model: file of the
    Basel face model, required if the coefficients of the clips belong to it. lip_reader: checkpoint, or None.
    checkpoints: folders to search for FaceRecon. changes: plan fields to replace in every stage.
    """

    config: str
    pyramid: Callable[[], nn.Module]
    data: Path | None = None
    portraits: Path | None = None
    speech: Path | None = None
    processes: int = 1
    face_model: Path | None = None
    lip_reader: Path | None = None
    checkpoints: Sequence[Path] = ()
    changes: dict[str, Any] = field(default_factory=dict)

    def plan(self, plans: dict[str, Plan]) -> Plan:
        """Return the plan of a recipe for this size, with the changes applied."""
        return replace(plans[self.config], **self.changes)


@dataclass(frozen=True)
class Stage:
    """A training stage.

    name: of the stage and its subfolder. file: the file that is written last. plan: its training plan. train: called
    with the folder and the plan.
    """

    name: str
    file: str
    plan: Plan
    train: Callable[[Path, Plan], object]


def train_all(options: TrainAllOptions, folder: Path, commit: str = "unknown") -> list[Path]:
    """Train or resume all stages in ``folder``, export to ``folder / "export"``, and return the exported files."""
    started = time.monotonic()
    _check_files(options)
    if options.data is not None:
        ClipInfo.load(options.data)
    else:
        find_portraits(options.portraits)
        check_source(options.speech)
    make_folder(folder)
    _check_options(options, folder)
    data = options.data or _make_practice_clips(options, folder / DATA)
    _check_data(data, folder)
    for stage in stages(options, folder, data, commit):
        _run(stage, folder / stage.name)
    files = exported.export(folder, folder / EXPORT, options.checkpoints)
    duration = _elapsed(started)
    log.info("all: %s after %s; use it with: --engine sadtalker --folder %s", files[0], duration, folder / EXPORT)
    return files


def stages(options: TrainAllOptions, folder: Path, data: Path, commit: str) -> list[Stage]:
    """Return the training stages in order; the mappings require the finished renderer."""
    size, speech_size = renderer_size(options.config), speech_model_size(options.config)

    def exp_net(out: Path, plan: Plan) -> object:
        reader = load_lip_reader(options.lip_reader) if options.lip_reader else None
        recipe = exp_net_recipe.SadTalkerExpNetRecipe(data, speech_size, options.face_model, reader)
        return exp_net_recipe.train_sadtalker_exp_net(recipe, out, plan, commit)

    def pose_vae(out: Path, plan: Plan) -> object:
        recipe = pose_vae_recipe.SadTalkerPoseVaeRecipe(data, speech_size)
        return pose_vae_recipe.train_sadtalker_pose_vae(recipe, out, plan, commit)

    def train_renderer(out: Path, plan: Plan) -> object:
        return renderer.train_renderer(renderer.RendererRecipe(data, size, options.pyramid()), out, plan, commit)

    def mapping(count: int) -> Callable[[Path, Plan], object]:
        def train_mapping_net(out: Path, plan: Plan) -> object:
            frozen = load_renderer(folder / exported.RENDERER)
            recipe = mapping_net.MappingRecipe(data, size, frozen, options.pyramid(), count)
            return mapping_net.train_mapping(recipe, out, plan, commit)

        return train_mapping_net

    result = [
        Stage(exported.EXP_NET, exp_net_recipe.FILE_NAME, options.plan(exp_net_recipe.PLANS), exp_net),
        Stage(exported.POSE_VAE, pose_vae_recipe.FILE_NAME, options.plan(pose_vae_recipe.PLANS), pose_vae),
        Stage(exported.RENDERER, exported.RENDERER_FILE, options.plan(renderer.PLANS), train_renderer),
    ]
    for count in MAPPINGS:
        name = exported.MAPPING.format(count)
        result.append(Stage(name, f"{name}.safetensors", options.plan(mapping_net.PLANS), mapping(count)))
    return result


def _run(stage: Stage, folder: Path) -> None:
    path, plan = folder / stage.file, json.dumps(asdict(stage.plan))
    if path.is_file() and read_metadata(path).get("plan") == plan:
        log.info("%s: already done, %s", stage.name, path)
        return
    log.info("%s: %d steps of %d examples", stage.name, stage.plan.steps, stage.plan.batch_size * stage.plan.accumulate)
    started = time.monotonic()
    stage.train(folder, stage.plan)
    log.info("%s: done in %s, %s", stage.name, _elapsed(started), read_metadata(path).get("figures", ""))


def _make_practice_clips(options: TrainAllOptions, folder: Path) -> Path:
    plan = replace(PRACTICE_PLANS[options.config], portraits=options.portraits, speech=options.speech)
    if (folder / "card.json").is_file():
        log.info("%s: already made, %s", DATA, folder)
        return folder
    log.info("%s: %d practice clips of %g s at %d pixels", DATA, plan.clips, plan.seconds, plan.size_px)
    started = time.monotonic()
    make_practice(folder, plan, options.processes)
    log.info("%s: done in %s", DATA, _elapsed(started))
    return folder


def _check_files(options: TrainAllOptions) -> None:
    """Raise an error for files of later stages that cannot be used, before the run records them."""
    if options.face_model is not None:
        bfm_landmarks(options.face_model)
    if options.lip_reader is not None:
        load_lip_reader(options.lip_reader)


def _check_options(options: TrainAllOptions, folder: Path) -> None:
    """Save the options of the run, or raise a SettingsError if they differ from those of an earlier start."""
    names = ("config", "data", "portraits", "speech", "face_model", "lip_reader")
    current = {name: None if (value := getattr(options, name)) is None else str(value) for name in names}
    path = folder / RECORD
    saved = read_record(path) if path.exists() else current
    changed = [
        f"{name} was {saved.get(name)}, is {current[name]}" for name in names if saved.get(name) != current[name]
    ]
    if changed:
        raise SettingsError(f"{folder} was started with other options ({'; '.join(changed)}); choose another folder")
    write_json(path, {**saved, **current})


def _check_data(data: Path, folder: Path) -> None:
    """Save a description of the data, or raise a SettingsError if it differs from that of an earlier start."""
    path, found = folder / RECORD, describe_clips(data)
    saved = read_record(path)
    if (earlier := saved.get(TRAINED_ON, found)) != found:
        raise SettingsError(
            f"{folder} was trained on other data ({earlier}), and {data} now has {found}; use the data of that run, or "
            "choose another folder to train on these"
        )
    write_json(path, {**saved, TRAINED_ON: found})


def _elapsed(started: float) -> str:
    seconds = time.monotonic() - started
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
