"""All networks of the SadTalker engine one after another: data, sound, pictures, mapping, export.

Each stage has its own folder below that of the run and goes on where it stopped; a finished one is not done again.
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
from sadtalker_ext.training.clips.practice import PracticePlan, make_practice
from sadtalker_ext.training.clips.shards import write_json
from sadtalker_ext.training.sadtalker import exp_net as exp_net_recipe
from sadtalker_ext.training.sadtalker import export as exported
from sadtalker_ext.training.sadtalker import mapping_net, renderer
from sadtalker_ext.training.sadtalker import pose_vae as pose_vae_recipe
from sadtalker_ext.training.sadtalker.audio_windows import sound_size
from sadtalker_ext.training.sadtalker.model_sizes import size_named
from sadtalker_ext.training.sadtalker.renderer_networks import load_renderer
from sadtalker_ext.weights.external_networks import load_lip_reader
from sadtalker_ext.weights.official import MAPPINGS
from sadtalker_ext.weights.packaged import metadata_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from sadtalker_ext.training.core.loop import Plan

log = logging.getLogger(__name__)

RECORD: Final = "run.json"
DATA, EXPORT = "data", "export"
PRACTICE: Final = {
    "tiny": PracticePlan(clips=8, size_px=32),
    "small": PracticePlan(clips=512, size_px=128),
    "full": PracticePlan(clips=4000, size_px=256, seconds=4.0),
}
"""Clips that are made where no data set is given, by name of the size."""


@dataclass(frozen=True)
class Wishes:
    """config: name of the size. data: folder of clips, or None to make practice clips.

    portraits, speech, processes: for practice clips. face_model: BFM file, for clips of that model's coefficients.
    lip_reader: file, or None. checkpoints: where FaceRecon is looked for. pyramid: makes what compares pictures.
    changes: fields of every stage's plan to be exchanged.
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
        """A recipe's plan for this size."""
        return replace(plans[self.config], **self.changes)


@dataclass(frozen=True)
class Stage:
    """name: of the stage and its folder. file: written last. plan: of its training."""

    name: str
    file: str
    plan: Plan
    work: Callable[[Path, Plan], object]


def train_all(wishes: Wishes, folder: Path, commit: str = "unknown") -> list[Path]:
    """Train everything in ``folder`` (or go on) and export it to ``folder / "export"``; the exported files."""
    folder.mkdir(parents=True, exist_ok=True)
    _note(wishes, folder)
    data = wishes.data or _practice(wishes, folder / DATA)
    begun = time.monotonic()
    for stage in stages(wishes, folder, data, commit):
        _run(stage, folder / stage.name)
    files = exported.export(folder, folder / EXPORT, wishes.checkpoints)
    log.info("all: %s after %s; use it with: --engine sadtalker --folder %s", files[0], _told(begun), folder / EXPORT)
    return files


def stages(wishes: Wishes, folder: Path, data: Path, commit: str) -> list[Stage]:
    """What is trained, in order; the mappings need the finished renderer."""
    size, sound = size_named(wishes.config), sound_size(wishes.config)

    def exp_net(out: Path, plan: Plan) -> object:
        reader = load_lip_reader(wishes.lip_reader) if wishes.lip_reader else None
        recipe = exp_net_recipe.SadTalkerExpNetRecipe(data, sound, wishes.face_model, reader)
        return exp_net_recipe.train_sadtalker_exp_net(recipe, out, plan, commit)

    def pose_vae(out: Path, plan: Plan) -> object:
        recipe = pose_vae_recipe.SadTalkerPoseVaeRecipe(data, sound)
        return pose_vae_recipe.train_sadtalker_pose_vae(recipe, out, plan, commit)

    def pictures(out: Path, plan: Plan) -> object:
        return renderer.train_renderer(renderer.RendererRecipe(data, size, wishes.pyramid()), out, plan, commit)

    def mapping(count: int) -> Callable[[Path, Plan], object]:
        def work(out: Path, plan: Plan) -> object:
            frozen = load_renderer(folder / exported.RENDERER)
            recipe = mapping_net.MappingRecipe(data, size, frozen, wishes.pyramid(), count)
            return mapping_net.train_mapping(recipe, out, plan, commit)

        return work

    found = [
        Stage(exported.EXP_NET, exp_net_recipe.FILE_NAME, wishes.plan(exp_net_recipe.PLANS), exp_net),
        Stage(exported.POSE_VAE, pose_vae_recipe.FILE_NAME, wishes.plan(pose_vae_recipe.PLANS), pose_vae),
        Stage(exported.RENDERER, exported.RENDERER_FILE, wishes.plan(renderer.PLANS), pictures),
    ]
    for count in MAPPINGS:
        name = exported.MAPPING.format(count)
        found.append(Stage(name, f"{name}.safetensors", wishes.plan(mapping_net.PLANS), mapping(count)))
    return found


def _run(stage: Stage, folder: Path) -> None:
    path, plan = folder / stage.file, json.dumps(asdict(stage.plan))
    if path.is_file() and metadata_of(path).get("plan") == plan:
        log.info("%s: done before, %s", stage.name, path)
        return
    log.info("%s: %d steps of %d examples", stage.name, stage.plan.steps, stage.plan.batch_size * stage.plan.accumulate)
    begun = time.monotonic()
    stage.work(folder, stage.plan)
    log.info("%s: done in %s, %s", stage.name, _told(begun), metadata_of(path).get("figures", ""))


def _practice(wishes: Wishes, folder: Path) -> Path:
    plan = replace(PRACTICE[wishes.config], portraits=wishes.portraits, speech=wishes.speech)
    if (folder / "card.json").is_file():
        log.info("%s: made before, %s", DATA, folder)
        return folder
    log.info("%s: %d practice clips of %g s at %d pixels", DATA, plan.clips, plan.seconds, plan.size_px)
    begun = time.monotonic()
    make_practice(folder, plan, wishes.processes)
    log.info("%s: done in %s", DATA, _told(begun))
    return folder


def _note(wishes: Wishes, folder: Path) -> None:
    """Note what the run was begun with, or refuse one that was begun with other data or another size."""
    names = ("config", "data", "portraits", "speech", "face_model", "lip_reader")
    mine = {name: None if (value := getattr(wishes, name)) is None else str(value) for name in names}
    path = folder / RECORD
    theirs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else mine
    changed = [f"{name} was {theirs.get(name)}, is {mine[name]}" for name in names if theirs.get(name) != mine[name]]
    if changed:
        raise SettingsError(f"{folder} was begun with other options ({'; '.join(changed)}); name another folder")
    write_json(path, mine)


def _told(begun: float) -> str:
    seconds = time.monotonic() - begun
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
