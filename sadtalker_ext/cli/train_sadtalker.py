"""Commands ``sadtalker train exp_net``, ``pose_vae``, ``all`` and ``export`` for the SadTalker engine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sadtalker_ext.cli.train_flags import (
    ACCELERATE,
    NEXT_EXPORT,
    add_plan_flags,
    add_run_flags,
    code_version,
    given_plan_fields,
    how_to_use,
    plan_from_options,
    print_weights,
    require_positive,
    show_progress,
)
from sadtalker_ext.cli.train_renderer import CONFIGS, DATA_HELP, PERCEPTUAL, create_pyramid


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse has no public name for this type
    """Add ``exp_net``, ``pose_vae``, ``all`` and ``export`` to the commands of ``train``."""
    exp_net = recipes.add_parser(
        "exp_net", help="sadtalker: speech to expression, from clips", epilog=ACCELERATE,
        description="Train the network that predicts expression coefficients from speech, on clips.",
    )  # fmt: skip
    _add_loss_files(exp_net)
    exp_net.set_defaults(run=_exp_net)
    pose_vae = recipes.add_parser(
        "pose_vae", help="sadtalker: speech to head motion, from clips", epilog=ACCELERATE,
        description="Train the network that generates head motion from speech, on clips.",
    )  # fmt: skip
    pose_vae.set_defaults(run=_pose_vae)
    for parser in (exp_net, pose_vae):
        parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=DATA_HELP)
        _add_config(parser)
        add_run_flags(parser)
    _add_all(recipes)
    _add_export(recipes)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", choices=CONFIGS, default="small", help="size of the networks (default small)")


def _add_loss_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--face-model", type=Path, metavar="FILE", help="BFM_model_front.mat, needed for clips with bfm coefficients"
    )
    parser.add_argument(
        "--lip-reader", type=Path, metavar="FILE",
        help="lip-reading network for the optional lip-reading loss: safetensors with a JSON configuration beside it",
    )  # fmt: skip


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], metavar="DIR",
        help="folder searched first for FaceRecon, which clips with bfm coefficients need",
    )  # fmt: skip


def _add_all(recipes: Any) -> None:  # noqa: ANN401
    whole = recipes.add_parser(
        "all", help="sadtalker: train all networks and export them",
        description="Create practice clips (unless --data is given), train ExpNet, PoseVAE, the renderer and both "
        "mapping networks, and export them. The same command resumes an interrupted run.",
    )  # fmt: skip
    _add_config(whole)
    whole.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder with one subfolder per stage")
    whole.add_argument(
        "--data", type=Path, metavar="DIR",
        help=f"{DATA_HELP} (default: new practice clips)",
    )  # fmt: skip
    whole.add_argument(
        "--portraits", type=Path, metavar="DIR", help="portraits of the practice clips (default: the demo portrait)"
    )
    whole.add_argument("--speech", type=Path, metavar="DIR", help="speech of the practice clips, see train practice")
    whole.add_argument("--processes", type=int, default=1, help="processes that render practice clips (default 1)")
    whole.add_argument("--perceptual", choices=PERCEPTUAL, help="features of the perceptual loss, see train renderer")
    _add_loss_files(whole)
    _add_folder(whole)
    add_plan_flags(whole, steps="number of steps of every network, instead of its default", seed=False)
    whole.set_defaults(run=_all)


def _add_export(recipes: Any) -> None:  # noqa: ANN401
    export = recipes.add_parser(
        "export", help="sadtalker: write trained networks as checkpoints of the engine",
        description="Write SadTalker_V0.0.2_SIZE.safetensors and both mapping files. Use them with: sadtalker animate "
        "... --engine sadtalker --folder FOLDER. They render at the size they were trained for; --size is ignored.",
    )  # fmt: skip
    export.add_argument(
        "folder_of_runs", type=Path, metavar="RUN",
        help="folder with the finished runs exp_net, pose_vae, renderer, mapping_70 and mapping_73",
    )  # fmt: skip
    export.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER",
        help="output folder; it may contain an export of the same size, which is replaced",
    )
    _add_folder(export)
    export.set_defaults(run=_export, when_stopped="stopped")


def _exp_net(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.audio_windows import speech_model_size
    from sadtalker_ext.training.sadtalker.exp_net import PLANS, SadTalkerExpNetRecipe, train_sadtalker_exp_net
    from sadtalker_ext.weights.external_networks import load_lip_reader

    show_progress()
    reader = load_lip_reader(options.lip_reader) if options.lip_reader else None
    recipe = SadTalkerExpNetRecipe(options.data, speech_model_size(options.config), options.face_model, reader)
    plan = plan_from_options(PLANS[options.config], options)
    print_weights(train_sadtalker_exp_net(recipe, options.out, plan, code_version()), NEXT_EXPORT)
    return 0


def _pose_vae(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.audio_windows import speech_model_size
    from sadtalker_ext.training.sadtalker.pose_vae import PLANS, SadTalkerPoseVaeRecipe, train_sadtalker_pose_vae

    show_progress()
    recipe = SadTalkerPoseVaeRecipe(options.data, speech_model_size(options.config))
    plan = plan_from_options(PLANS[options.config], options)
    print_weights(train_sadtalker_pose_vae(recipe, options.out, plan, code_version()), NEXT_EXPORT)
    return 0


def _all(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.train_all import TrainAllOptions, train_all
    from sadtalker_ext.weights.files import search_folders

    show_progress()
    require_positive("--processes", options.processes)
    stage_options = TrainAllOptions(
        config=options.config, pyramid=lambda: create_pyramid(options), data=options.data, portraits=options.portraits,
        speech=options.speech, processes=options.processes, face_model=options.face_model,
        lip_reader=options.lip_reader, checkpoints=search_folders(options.folder), changes=given_plan_fields(options),
    )  # fmt: skip
    files = train_all(stage_options, options.out, code_version())
    print_weights(files, how_to_use(files[0].parent))
    return 0


def _export(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.sadtalker.export import export
    from sadtalker_ext.weights.files import search_folders

    show_progress()
    files = export(options.folder_of_runs, options.output, search_folders(options.folder))
    print_weights(files, how_to_use(files[0].parent))
    return 0
