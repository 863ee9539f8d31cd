"""``sadtalker train corpus``, ``exp_net`` and ``pose_vae``: the starter engine's own networks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sadtalker_ext.cli.train_flags import (
    ACCELERATE,
    add_plan,
    changed_plan,
    code_version,
    log_progress,
    require_positive,
)


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse gives this type no public name
    """Add the starter engine's recipes to those of ``train``."""
    corpus = recipes.add_parser("corpus", help="starter: synthesise speech with phone times, augment it")
    corpus.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for shards and features")
    corpus.add_argument("--hours", type=float, default=12.0, help="of speech before augmentation (default 12)")
    corpus.add_argument("--rounds", type=int, default=2, help="augmented versions of each hour (default 2)")
    corpus.add_argument(
        "--recordings", type=Path, metavar="DIR", help="English speech of people besides, with NAME.txt beside NAME.wav"
    )
    corpus.add_argument("--processes", type=int, default=1, help="programs at work at once (default 1)")
    corpus.set_defaults(run=_corpus)
    exp_net = recipes.add_parser("exp_net", help="starter: speech to lips, from a corpus", epilog=ACCELERATE)
    exp_net.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that train corpus wrote")
    exp_net.add_argument("--all-voices", action="store_true", help="train on the held-out voices too")
    exp_net.add_argument("--start-from", type=Path, metavar="FILE", help="go on from these weights, not from chance")
    exp_net.set_defaults(run=_exp_net)
    pose_vae = recipes.add_parser("pose_vae", help="starter: speech to head motion", epilog=ACCELERATE)
    pose_vae.set_defaults(run=_pose_vae)
    for parser in (exp_net, pose_vae):
        add_plan(parser)


def _corpus(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.corpus.build import build_corpus
    from sadtalker_ext.training.corpus.recordings import build_recordings
    from sadtalker_ext.training.starter.speech_features import build_features

    log_progress()
    for name, value in (("--hours", options.hours), ("--rounds", options.rounds), ("--processes", options.processes)):
        require_positive(name, value)
    if options.recordings is not None:
        build_recordings(options.recordings, options.out / "shards", options.processes)
    build_corpus(options.out / "shards", options.hours, options.processes)
    build_features(options.out / "shards", options.out / "features", options.rounds, options.processes)
    print(json.dumps({"features": str(options.out / "features")}))
    return 0


def _exp_net(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.starter.speech_to_expression import (
        PLAN,
        SpeechToExpressionRecipe,
        train_speech_to_expression,
    )

    log_progress()
    hold_out, start = not options.all_voices, options.start_from
    recipe = SpeechToExpressionRecipe(options.data / "features", hold_out=hold_out, start=start)
    path = train_speech_to_expression(recipe, options.out, changed_plan(PLAN, options), code_version())
    print(json.dumps({"weights": str(path)}))
    return 0


def _pose_vae(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.starter.pose_cvae import PLAN, train_pose_cvae

    log_progress()
    print(json.dumps({"weights": str(train_pose_cvae(options.out, changed_plan(PLAN, options), code_version()))}))
    return 0
