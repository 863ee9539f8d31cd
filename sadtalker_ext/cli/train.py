"""``sadtalker train``: build the corpus and train the starter engine's own networks."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sadtalker_ext
from sadtalker_ext.errors import SettingsError

if TYPE_CHECKING:
    from sadtalker_ext.training.loop import Plan

_ACCELERATE = "Several devices or machines: accelerate launch $(which sadtalker) train ... with the same options."


def add_command(commands: Any) -> None:  # noqa: ANN401 - argparse gives this type no public name
    """Add ``train`` with ``corpus``, ``exp_net`` and ``pose_vae`` to the program's commands."""
    train = commands.add_parser("train", help="make the starter engine's networks anew", allow_abbrev=False)
    recipes = train.add_subparsers(dest="recipe", metavar="RECIPE", required=True)
    corpus = recipes.add_parser("corpus", help="synthesise speech with phone times, augment it, write features")
    corpus.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for shards and features")
    corpus.add_argument("--hours", type=float, default=12.0, help="of speech before augmentation (default 12)")
    corpus.add_argument("--rounds", type=int, default=2, help="augmented versions of each hour (default 2)")
    corpus.add_argument("--processes", type=int, default=1, help="programs at work at once (default 1)")
    corpus.set_defaults(run=_corpus)
    exp_net = recipes.add_parser("exp_net", help="speech to lips, from a corpus", epilog=_ACCELERATE)
    exp_net.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder that train corpus wrote")
    exp_net.add_argument("--all-voices", action="store_true", help="train on the held-out voices too")
    exp_net.add_argument("--start-from", type=Path, metavar="FILE", help="go on from these weights, not from chance")
    exp_net.set_defaults(run=_exp_net)
    pose_vae = recipes.add_parser("pose_vae", help="speech to head motion, from made-up data", epilog=_ACCELERATE)
    pose_vae.set_defaults(run=_pose_vae)
    for parser in (exp_net, pose_vae):
        _add_plan(parser)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint, losses, samples and result")
    parser.add_argument("--steps", type=int, help="length of the whole run; the same command goes on after a stop")
    parser.add_argument("--batch-size", type=int, help="examples per step and process")
    parser.add_argument("--learning-rate", type=float, help="peak of the learning rate")
    parser.add_argument("--seed", type=int, help="of weights and batches")
    parser.add_argument("--workers", type=int, help="processes that prepare batches")
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"), help="mixed precision, as accelerate calls it")


def _corpus(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.corpus import build_corpus
    from sadtalker_ext.training.features import build_features

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name, value in (("--hours", options.hours), ("--rounds", options.rounds), ("--processes", options.processes)):
        if value <= 0:
            raise SettingsError(f"{name} is {value}; it must be above 0")
    build_corpus(options.out / "shards", options.hours, options.processes)
    build_features(options.out / "shards", options.out / "features", options.rounds, options.processes)
    print(json.dumps({"features": str(options.out / "features")}))
    return 0


def _exp_net(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.exp_net import PLAN, ExpNetRecipe, train_exp_net

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hold_out, start = not options.all_voices, options.start_from
    recipe = ExpNetRecipe(options.data / "features", hold_out=hold_out, start=start)
    print(json.dumps({"weights": str(train_exp_net(recipe, options.out, _plan(PLAN, options), code_version()))}))
    return 0


def _pose_vae(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.pose_vae import PLAN, train_pose_vae

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(json.dumps({"weights": str(train_pose_vae(options.out, _plan(PLAN, options), code_version()))}))
    return 0


def _plan(plan: Plan, options: argparse.Namespace) -> Plan:
    """The recipe's own plan with what the command line changes."""
    names = ("steps", "batch_size", "learning_rate", "seed", "workers", "precision")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    for name in ("steps", "batch_size", "learning_rate"):
        if given.get(name, 1) <= 0:
            raise SettingsError(f"--{name.replace('_', '-')} is {given[name]}; it must be above 0")
    return replace(plan, **given)


def code_version() -> str:
    """The commit this package runs from, or its version where it is no checkout."""
    folder = Path(sadtalker_ext.__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return sadtalker_ext.__version__
    return result.stdout.strip() if result.returncode == 0 else sadtalker_ext.__version__
