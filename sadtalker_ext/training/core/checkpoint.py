"""What a training run must remember to go on exactly where it stopped."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.system.atomic_output import write_file

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class Average:
    """Exponential moving average of a network's parameters; buffers are copied as they are.

    The decay grows as (1 + s) / (10 + s) up to ``decay``, so the first weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False).eval()
        self.decay = decay

    def update(self, network: nn.Module, step: int) -> None:
        """Move towards ``network`` after training step ``step`` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.network.parameters(), network.parameters(), strict=True):
            mine.lerp_(theirs.detach(), 1.0 - decay)
        for kept, fresh in zip(self.network.buffers(), network.buffers(), strict=True):
            kept.copy_(fresh)


@dataclass
class TrainingState:
    """Networks, their averages and optimisers by name, and the record a resumed run must agree with.

    There is no random state in it: the loop seeds every step from its number.
    defaults: what a plan's fields are where a record does not have them yet.
    """

    networks: dict[str, nn.Module]
    averages: dict[str, Average]
    optimizers: dict[str, Optimizer]
    record: dict[str, Any]
    defaults: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path, done: int) -> None:
        """Write the state after ``done`` steps; the file is whole or it is the one before."""
        import torch

        content = {
            "done": done,
            "record": json.dumps(self.record, sort_keys=True),
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "averages": {name: average.network.state_dict() for name, average in self.averages.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }
        write_file(path, lambda part: torch.save(content, part), WeightsError, (OSError, RuntimeError))

    def load_if_there(self, path: Path) -> int:
        """Steps already done: 0 without a checkpoint; refuses one made with another recipe or plan."""
        import torch

        if not path.exists():
            return 0
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            self._refuse_other_record(path, json.loads(content["record"]))
            for name, network in self.networks.items():
                network.load_state_dict(content["networks"][name])
                self.averages[name].network.load_state_dict(content["averages"][name])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(content["optimizers"][name])
        except (OSError, RuntimeError, KeyError, ValueError, EOFError) as error:
            raise WeightsError(
                f"{path} is not a checkpoint of this run ({error}); remove it or name another folder"
            ) from error
        return int(content["done"])

    def _refuse_other_record(self, path: Path, found: dict[str, Any]) -> None:
        mine, defaults = json.loads(json.dumps(self.record)), json.loads(json.dumps(self.defaults))
        ours, theirs = _flat(mine, defaults), _flat(found, defaults)
        changed = [f"{key} was {theirs.get(key)}, is {ours.get(key)}" for key in ours if ours[key] != theirs.get(key)]
        if changed:
            raise WeightsError(
                f"{path} was made by another run ({'; '.join(changed)}); use the same options or name another folder"
            )


def _flat(record: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The plan's fields beside the others, without those that change no step.

    How a step's examples are split into batches decides memory and the last digits, not what is learnt.
    """
    harmless = {"log_every", "validate_every", "save_every", "workers"}
    flat = {k: v for k, v in {**record, **defaults, **record.get("plan", {})}.items() if k not in {"plan", *harmless}}
    if "batch_size" in flat:
        flat["batch_size x accumulate"] = flat.pop("batch_size") * flat.pop("accumulate", 1)
    return flat
