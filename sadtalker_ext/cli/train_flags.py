"""What the commands of ``sadtalker train`` share: flags for a plan, the progress they log, the version of the code."""

from __future__ import annotations

import argparse
import logging
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import sadtalker_ext
from sadtalker_ext.errors import SettingsError

if TYPE_CHECKING:
    from sadtalker_ext.training.core.plan import Plan

ACCELERATE = "Several devices or machines: accelerate launch $(which sadtalker) train ... with the same options."
POSITIVE = ("steps", "batch_size", "accumulate", "learning_rate")
PLAN_FLAGS = (*POSITIVE, "seed", "workers", "precision")
"""Fields of a plan that the command line changes."""


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Flags for the folder of a run and its plan; what is left out comes from the recipe's own plan."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint, losses, samples and result")
    parser.add_argument("--steps", type=int, help="length of the whole run; the same command goes on after a stop")
    parser.add_argument("--batch-size", type=int, help="examples computed at once, per process")
    parser.add_argument("--accumulate", type=int, help="batches that make one step, where memory is small")
    parser.add_argument("--learning-rate", type=float, help="peak of the learning rate")
    parser.add_argument("--seed", type=int, help="of weights and batches")
    parser.add_argument("--workers", type=int, help="processes that prepare batches")
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"), help="mixed precision, as accelerate calls it")


def changed_plan(plan: Plan, options: argparse.Namespace) -> Plan:
    """The recipe's own plan with what the command line changes."""
    given = {name: getattr(options, name) for name in PLAN_FLAGS if getattr(options, name) is not None}
    for name in POSITIVE:
        require_positive(f"--{name.replace('_', '-')}", given.get(name, 1))
    return replace(plan, **given)


def require_positive(flag: str, value: float) -> None:
    """Refuse zero and less."""
    if value <= 0:
        raise SettingsError(f"{flag} is {value}; it must be above 0")


def log_progress() -> None:
    """Show what the work logs, one line each, on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


def code_version() -> str:
    """The commit this package runs from, or its version where it is no checkout."""
    folder = Path(sadtalker_ext.__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return sadtalker_ext.__version__
    return result.stdout.strip() if result.returncode == 0 else sadtalker_ext.__version__
