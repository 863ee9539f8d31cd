"""``sadtalker train`` for the networks of the SadTalker engine that hear, for all of them at once, and their export."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from sadtalker_ext.cli.train_flags import (
    ACCELERATE,
    POSITIVE,
    add_plan,
    changed_plan,
    code_version,
    log_progress,
    require_positive,
)
from sadtalker_ext.cli.train_renderer import CONFIGS, PERCEPTUAL, pyramid_of

ALL_CHANGES: Final = (*POSITIVE, "workers", "precision")


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse gives this type no public name
    """Add ``sadtalker_exp_net``, ``sadtalker_pose_vae``, ``all`` and ``export`` to the commands of ``train``."""
    exp_net = recipes.add_parser(
        "sadtalker_exp_net", help="sadtalker: speech to expression, from clips", epilog=ACCELERATE
    )
    _add_lips(exp_net)
    exp_net.set_defaults(run=_exp_net)
    pose_vae = recipes.add_parser(
        "sadtalker_pose_vae", help="sadtalker: speech to head motion, from clips", epilog=ACCELERATE
    )
    pose_vae.set_defaults(run=_pose_vae)
    for parser in (exp_net, pose_vae):
        parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="from train practice or prepare")
        _add_config(parser)
        add_plan(parser)
    _add_all(recipes)
    _add_export(recipes)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", choices=CONFIGS, default="small", help="size of the networks (default small)")


def _add_lips(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--face-model", type=Path, metavar="FILE", help="BFM_model_front.mat, for clips with that model's coefficients"
    )
    parser.add_argument(
        "--lip-reader", type=Path, metavar="FILE",
        help="a frozen lip reader as safetensors, its configuration (JSON) beside it; without it that loss is left out",
    )  # fmt: skip


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], metavar="DIR",
        help="look here first for FaceRecon, which clips with the Basel model's coefficients need",
    )  # fmt: skip


def _add_all(recipes: Any) -> None:  # noqa: ANN401
    whole = recipes.add_parser(
        "all", help="sadtalker: every network one after another, and export",
        description="Practice clips (unless --data names others), ExpNet, PoseVAE, renderer, both mappings, export. "
        "The same command goes on after a stop.",
    )  # fmt: skip
    _add_config(whole)
    whole.add_argument("--out", type=Path, required=True, metavar="RUN", help="a folder for each stage, and export")
    whole.add_argument("--data", type=Path, metavar="DIR", help="from train practice or prepare (default: made anew)")
    whole.add_argument("--portraits", type=Path, metavar="DIR", help="for practice clips (default: the demo's)")
    whole.add_argument("--speech", type=Path, metavar="DIR", help="for practice clips (default: what is there)")
    whole.add_argument("--processes", type=int, default=1, help="that make practice clips at once (default 1)")
    whole.add_argument("--perceptual", choices=PERCEPTUAL, help="as for train renderer")
    _add_lips(whole)
    _add_folder(whole)
    whole.add_argument("--steps", type=int, help="of every network, in place of its own number")
    whole.add_argument("--batch-size", type=int, help="examples computed at once")
    whole.add_argument("--accumulate", type=int, help="batches that make one step")
    whole.add_argument("--learning-rate", type=float, help="peak of every learning rate")
    whole.add_argument("--workers", type=int, help="processes that prepare batches")
    whole.add_argument("--precision", choices=("no", "fp16", "bf16"), help="mixed precision")
    whole.set_defaults(run=_all)


def _add_export(recipes: Any) -> None:  # noqa: ANN401
    export = recipes.add_parser(
        "export", help="sadtalker: finished runs to checkpoints that the engine opens",
        description="Write SadTalker_V0.0.2_SIZE.safetensors and both mapping files. Use them with: sadtalker animate "
        "... --engine sadtalker --folder FOLDER. They render the size they were trained for, whatever --size says.",
    )  # fmt: skip
    export.add_argument(
        "folder_of_runs", type=Path, metavar="RUN",
        help="has the folders exp_net, pose_vae, renderer, mapping_70 and mapping_73, each a finished run",
    )  # fmt: skip
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="of its own")
    _add_folder(export)
    export.set_defaults(run=_export)


def _exp_net(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.audio_windows import speech_model_size
    from sadtalker_ext.training.sadtalker.exp_net import PLANS, SadTalkerExpNetRecipe, train_sadtalker_exp_net
    from sadtalker_ext.weights.external_networks import load_lip_reader

    log_progress()
    reader = load_lip_reader(options.lip_reader) if options.lip_reader else None
    recipe = SadTalkerExpNetRecipe(options.data, speech_model_size(options.config), options.face_model, reader)
    plan = changed_plan(PLANS[options.config], options)
    print(json.dumps({"weights": str(train_sadtalker_exp_net(recipe, options.out, plan, code_version()))}))
    return 0


def _pose_vae(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.audio_windows import speech_model_size
    from sadtalker_ext.training.sadtalker.pose_vae import PLANS, SadTalkerPoseVaeRecipe, train_sadtalker_pose_vae

    log_progress()
    recipe = SadTalkerPoseVaeRecipe(options.data, speech_model_size(options.config))
    plan = changed_plan(PLANS[options.config], options)
    print(json.dumps({"weights": str(train_sadtalker_pose_vae(recipe, options.out, plan, code_version()))}))
    return 0


def _all(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.train_all import TrainAllOptions, train_all
    from sadtalker_ext.weights.files import search_folders

    log_progress()
    changes = {name: value for name in ALL_CHANGES if (value := getattr(options, name)) is not None}
    for name in POSITIVE:
        require_positive(f"--{name.replace('_', '-')}", changes.get(name, 1))
    require_positive("--processes", options.processes)
    wishes = TrainAllOptions(
        config=options.config, pyramid=lambda: pyramid_of(options), data=options.data, portraits=options.portraits,
        speech=options.speech, processes=options.processes, face_model=options.face_model,
        lip_reader=options.lip_reader, checkpoints=search_folders(options.folder), changes=changes,
    )  # fmt: skip
    files = train_all(wishes, options.out, code_version())
    print(json.dumps({"weights": [str(path) for path in files]}))
    return 0


def _export(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.export import export
    from sadtalker_ext.weights.files import search_folders

    files = export(options.folder_of_runs, options.output, search_folders(options.folder))
    print(json.dumps({"weights": [str(path) for path in files]}))
    return 0
