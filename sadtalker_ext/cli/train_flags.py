"""Shared parts of the ``sadtalker train`` commands: plan flags, progress messages, version of the code."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sadtalker_ext
from sadtalker_ext.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sadtalker_ext.training.core.plan import Plan

log = logging.getLogger(__name__)

ACCELERATE = "With several devices or machines: accelerate launch $(which sadtalker) train ... with the same options."
NEXT_EXPORT = "When all five networks of the SadTalker engine are trained: sadtalker train export RUNS -o DIR"
POSITIVE_FIELDS = ("steps", "batch_size", "accumulate", "learning_rate")
PLAN_FIELDS = (*POSITIVE_FIELDS, "seed", "workers", "precision")
"""Fields of a plan that have a command-line flag."""


def add_plan_flags(parser: argparse.ArgumentParser, *, steps: str, seed: bool = True) -> None:
    """Add the flags that change a plan. steps: help text of ``--steps``. seed: whether there is a flag ``--seed``."""
    parser.add_argument("--steps", type=int, help=steps)
    parser.add_argument("--batch-size", type=int, help="number of examples that each process computes at once")
    parser.add_argument("--accumulate", type=int, help="number of batches that form one step, to save memory")
    parser.add_argument("--learning-rate", type=float, help="maximum learning rate of the run")
    if seed:
        parser.add_argument("--seed", type=int, help="seed of the initial weights and of the batches")
    parser.add_argument("--workers", type=int, help="number of processes that prepare batches")
    parser.add_argument(
        "--precision", choices=("no", "fp16", "bf16"), help="mixed precision: off (no), float16 or bfloat16"
    )


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Add the run folder and the plan flags; values that are not given come from the plan of the recipe."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for checkpoint, losses, samples and weights"
    )
    add_plan_flags(parser, steps="total number of steps; the same command resumes an interrupted run")


def given_plan_fields(options: argparse.Namespace) -> dict[str, Any]:
    """Return the plan fields given on the command line. Raises SettingsError if one of them must be above 0."""
    given = {name: value for name in PLAN_FIELDS if (value := getattr(options, name, None)) is not None}
    for name in POSITIVE_FIELDS:
        require_positive(f"--{name.replace('_', '-')}", given.get(name, 1))
    return given


def plan_from_options(plan: Plan, options: argparse.Namespace) -> Plan:
    """Return the plan of the recipe with the fields given on the command line."""
    return replace(plan, **given_plan_fields(options))


def require_positive(flag: str, value: float) -> None:
    """Raise SettingsError unless ``value`` is above 0 and finite."""
    if not 0 < value < float("inf"):
        raise SettingsError(f"{flag} is {value}; it must be above 0")


def show_progress() -> None:
    """Write the progress messages of the training packages to stderr, one line each."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


def print_weights(path: Path | Mapping[str, Path] | Sequence[Path], next_step: str) -> None:
    """Write the paths of the weights to stdout as JSON, and what to do with them to stderr."""
    log.info("%s", next_step)
    print(json.dumps({"weights": path}, default=str))


def how_to_use(folder: Path) -> str:
    """Return the command that uses an export."""
    return f"To use it: sadtalker animate PORTRAIT VOICE --engine sadtalker --folder {shlex.quote(str(folder))}"


def code_version() -> str:
    """Return the git commit of this package, or its version if it is not a git checkout."""
    folder = Path(sadtalker_ext.__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return sadtalker_ext.__version__
    return result.stdout.strip() if result.returncode == 0 else sadtalker_ext.__version__
