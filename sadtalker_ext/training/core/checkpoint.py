"""State of a training run, saved so that a resumed run continues exactly where it stopped."""

from __future__ import annotations

import copy
import errno
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.system.atomic_output import write_file

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

DATA_KEY: Final = "data"
"""Entry of a record: description of the data. Records of earlier versions do not have it."""
FULL_DISK_BYTES: Final = 1 << 20
"""A disk with less free space is full."""


class ExponentialMovingAverage:
    """Exponential moving average (EMA) of the parameters of a network; buffers are copied unchanged.

    The decay after step s is (1 + s) / (10 + s), at most ``decay``, so the initial weights lose their influence early.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False).eval()
        self.decay = decay

    def update(self, network: nn.Module, step: int) -> None:
        """Update the average with ``network`` after training step ``step`` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for averaged, current in zip(self.network.parameters(), network.parameters(), strict=True):
            averaged.lerp_(current.detach(), 1.0 - decay)
        for copied, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            copied.copy_(buffer)


@dataclass
class TrainingState:
    """Networks, their averages and optimisers by name, and the record that a resumed run must match.

    There is no random state: the loop seeds every step from its number.
    record: recipe, losses, plan and number of processes, as plain values.
    defaults: values of plan fields that records of earlier versions do not have.
    """

    networks: dict[str, nn.Module]
    averages: dict[str, ExponentialMovingAverage]
    optimizers: dict[str, Optimizer]
    record: dict[str, Any]
    defaults: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path, done: int) -> None:
        """Write the state after ``done`` steps, atomically."""
        content = {
            "done": done,
            "record": json.dumps(self.record, sort_keys=True),
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "averages": {name: average.network.state_dict() for name, average in self.averages.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }
        write_file(path, lambda part: _save(content, part), WeightsError, (OSError, RuntimeError))

    def load_if_exists(self, path: Path) -> int:
        """Load a checkpoint and return the number of steps done; 0 if the file does not exist.

        Raises WeightsError if the file is damaged or was written with another recipe or plan.
        """
        import torch

        if not path.exists():
            return 0
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            self._check_record(path, json.loads(content["record"]))
            for name, network in self.networks.items():
                network.load_state_dict(content["networks"][name])
                self.averages[name].network.load_state_dict(content["averages"][name])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(content["optimizers"][name])
        except (OSError, RuntimeError, KeyError, ValueError, EOFError) as error:
            raise WeightsError(
                f"{path} is not a checkpoint of this run ({error}). Delete it or use another folder."
            ) from error
        return int(content["done"])

    def _check_record(self, path: Path, stored: dict[str, Any]) -> None:
        if (data := self.record.get(DATA_KEY)) and stored.get(DATA_KEY, data) != data:
            raise WeightsError(
                f"{path} belongs to a run that was trained on other data ({stored[DATA_KEY]}; now {data}). Use the "
                "data of that run, or choose another folder to train on these."
            )
        record, defaults = json.loads(json.dumps(self.record)), json.loads(json.dumps(self.defaults))
        current, previous = _comparable(record, defaults), _comparable(stored, defaults)
        changed = [
            f"{key} was {previous.get(key)}, is {value}" for key, value in current.items() if value != previous.get(key)
        ]
        if changed:
            raise WeightsError(
                f"{path} belongs to a run with other options ({'; '.join(changed)}). Use the same options or another "
                "folder."
            )


def _save(content: dict[str, Any], path: Path) -> None:
    """Write ``content``; OSError if the disk is full, which torch reports as an unexpected position in the file."""
    import torch

    try:
        torch.save(content, path)
    except RuntimeError as error:
        if shutil.disk_usage(path.parent).free < FULL_DISK_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _comparable(record: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return a flat record without the fields that do not change any step.

    How the examples of a step are split into batches changes memory use and rounding only, so batch size and
    accumulation are compared by their product.
    """
    ignored = {"plan", DATA_KEY, "log_every", "validate_every", "save_every", "workers"}
    flat = {k: v for k, v in {**record, **defaults, **record.get("plan", {})}.items() if k not in ignored}
    if "batch_size" in flat:
        flat["batch_size x accumulate"] = flat.pop("batch_size") * flat.pop("accumulate", 1)
    return flat
