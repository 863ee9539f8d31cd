"""Training loop shared by all recipes.

A :class:`.Recipe` provides networks, batches and named losses. The loop adds optimiser steps, exponential moving
averages (EMA) of the weights, resume, a CSV and TensorBoard log, validation and samples. Several devices, processes or
machines are handled by Hugging Face accelerate: start the command with ``accelerate launch``.

All randomness of step ``s`` comes from ``(seed, s, process)``, so a resumed run takes exactly the same steps as an
uninterrupted one. Several processes take the same steps as one process with all their examples: losses are means,
gradients are averaged, and batch norms use the batches of all processes (:mod:`.sync_batch_norm`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from sadtalker_ext.errors import EngineError
from sadtalker_ext.runtime import is_out_of_memory
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.training.core.checkpoint import DATA_KEY, ExponentialMovingAverage, TrainingState
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.core.processes import open_accelerator
from sadtalker_ext.training.core.run_log import VALIDATION_PREFIX, RunLog
from sadtalker_ext.training.core.sampling import StepDataset, step_generator
from sadtalker_ext.training.core.sync_batch_norm import convert_sync_batch_norms
from sadtalker_ext.training.core.training_errors import out_of_memory_message, require_finite

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from sadtalker_ext.training.core.phases import Phase
    from sadtalker_ext.training.core.recipe import Recipe

CHECKPOINT_NAME = "checkpoint.pt"
SAVE_INTERVAL_S = 600.0
"""A checkpoint is also written when this much time has passed since the last one: steps may take minutes."""
log = logging.getLogger(__name__)


def train(recipe: Recipe, plan: Plan, folder: Path, stop_after: int | None = None) -> dict[str, nn.Module]:
    """Train, or resume from the checkpoint in ``folder``; return the averaged networks on the CPU, in eval mode.

    stop_after: stop after this step as an interrupted run would, with a checkpoint; None trains to ``plan.steps``.
    """
    return _Trainer(recipe, plan, folder).run(plan.steps if stop_after is None else min(stop_after, plan.steps))


class _Trainer:
    def __init__(self, recipe: Recipe, plan: Plan, folder: Path) -> None:
        import torch

        self.recipe, self.plan, self.folder = recipe, plan, folder
        staged = len({phase.network for phase in recipe.phases}) < len(recipe.phases)
        self.accelerator = open_accelerator(plan.precision, unused_parameters=staged)
        torch.manual_seed(plan.seed)
        self.networks = recipe.build()
        averages = {name: ExponentialMovingAverage(network, plan.ema_decay) for name, network in self.networks.items()}
        if self.accelerator.num_processes > 1:
            for network in self.networks.values():
                convert_sync_batch_norms(network)
        for phase in recipe.phases:
            if phase.network not in self.networks:
                raise EngineError(
                    f"The recipe {recipe.name!r} trains {phase.network!r}, but builds only {sorted(self.networks)}; "
                    "use one of these names in its phases."
                )
        self.state = TrainingState(
            networks=self.networks,
            averages=averages,
            optimizers={phase.network: self._create_optimizer(phase) for phase in recipe.phases},
            record=_run_record(recipe, plan, self.accelerator.num_processes),
            defaults=asdict(Plan(plan.steps)),
        )
        self.first_step = self.state.load_if_exists(folder / CHECKPOINT_NAME)
        self._saved_s = time.monotonic()
        self.wrapped, self.optimizers = self._prepare()

    def _create_optimizer(self, phase: Phase) -> Optimizer:
        import torch

        return torch.optim.AdamW(
            self.networks[phase.network].parameters(),
            lr=self.plan.learning_rate * phase.learning_rate_scale,
            betas=self.plan.betas,
            weight_decay=self.plan.weight_decay,
        )

    def _prepare(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return the networks and optimisers as accelerate wraps them, on the device."""
        wrapped: dict[str, nn.Module] = {}
        optimizers: dict[str, Any] = {}
        for name, network in self.networks.items():
            if name in self.state.optimizers:
                wrapped[name], optimizers[name] = self.accelerator.prepare(network, self.state.optimizers[name])
            else:
                wrapped[name] = network.to(self.accelerator.device)
        for average in self.state.averages.values():
            average.network.to(self.accelerator.device)
        return wrapped, optimizers

    def run(self, last: int) -> dict[str, nn.Module]:
        """Take the steps from ``self.first_step`` to ``last`` - 1."""
        import torch

        make_folder(self.folder)
        if self.first_step >= last:
            log.info("all %d steps of this run are done", self.first_step)
        elif self.first_step > 0:
            log.info("resuming after step %d of %d", self.first_step, self.plan.steps)
        with RunLog(self.folder, self.first_step, enabled=self.accelerator.is_main_process) as run_log:
            started = time.monotonic()
            for step, batches in zip(range(self.first_step, last), self._batches(last), strict=False):
                torch.manual_seed(int(step_generator(self.plan.seed, step, self._process).integers(2**62)))
                values = self._take_step(step, batches)
                if step % self.plan.log_every == 0 or step + 1 == last:
                    values["seconds"] = time.monotonic() - started
                    values["learning_rate"] = self.plan.learning_rate_at(step)
                    run_log.write(step, values)
                self._validate_and_save(step + 1, last, run_log)
        averages = {name: average.network.cpu().eval() for name, average in self.state.averages.items()}
        self.accelerator.wait_for_everyone()
        return averages

    @property
    def _process(self) -> int:
        return int(self.accelerator.process_index)

    def _batches(self, last: int) -> Iterator[list[dict[str, Tensor]]]:
        """Yield the batches of each remaining step on the device; ``plan.workers`` processes prepare them ahead."""
        from torch.utils.data import DataLoader

        data = StepDataset(self.recipe, self.plan, range(self.first_step, last), self._process)
        loader: DataLoader[list[dict[str, Tensor]]] = DataLoader(
            cast("Any", data), batch_size=None, shuffle=False, num_workers=self.plan.workers
        )
        for batches in loader:
            yield [{name: tensor.to(self.accelerator.device) for name, tensor in batch.items()} for batch in batches]

    def _take_step(self, step: int, batches: list[dict[str, Tensor]]) -> dict[str, float]:
        """Run the active phases and update the averages; return losses and gradient norms by name."""
        values: dict[str, float] = {}
        try:
            for phase in self.recipe.phases:
                if phase.is_active(step, self.plan.steps):
                    values.update(self._run_phase(step, phase, batches))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise EngineError(out_of_memory_message(step, self.plan)) from error
        for name, average in self.state.averages.items():
            average.update(self.networks[name], step)
        return values

    def _run_phase(self, step: int, phase: Phase, batches: list[dict[str, Tensor]]) -> dict[str, float]:
        """Take one optimiser step; the other networks are constant in it and the recipe gets them unwrapped."""
        trained, optimizer = self.wrapped[phase.network], self.optimizers[phase.network]
        for name, network in self.networks.items():
            network.requires_grad_(name == phase.network)
            network.train()
        for group in optimizer.param_groups:
            group["lr"] = self.plan.learning_rate_at(step) * phase.learning_rate_scale
        optimizer.zero_grad()
        rows = []
        for batch in batches[:-1]:
            with self.accelerator.no_sync(trained):
                rows.append(self._add_gradients(step, phase, batch, len(batches)))
        rows.append(self._add_gradients(step, phase, batches[-1], len(batches)))
        norm = self.accelerator.clip_grad_norm_(trained.parameters(), self.plan.clip_norm)
        values = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        values[f"gradient_{phase.network}"] = float(norm)
        if self.plan.precision != "fp16":
            require_finite(step, values, self.plan)
        optimizer.step()
        optimizer.zero_grad()
        return values

    def _add_gradients(self, step: int, phase: Phase, batch: dict[str, Tensor], parts: int) -> dict[str, float]:
        """Add the gradients of one of ``parts`` batches; return its losses, averaged over all processes."""
        import torch

        networks = {**self.networks, phase.network: self.wrapped[phase.network]}
        with self.accelerator.autocast():
            losses = self.recipe.losses(phase, networks, batch)
        total = weighted_sum(losses, phase.weights)
        names = [*losses, f"total_{phase.network}"]
        stacked = torch.stack([value.detach().float() for value in (*losses.values(), total)])
        means = cast("Tensor", self.accelerator.reduce(stacked, "mean"))
        values = dict(zip(names, means.tolist(), strict=True))
        require_finite(step, values, self.plan)
        self.accelerator.backward(total / parts)
        return values

    def _validate_and_save(self, done: int, last: int, run_log: RunLog) -> None:
        """Write validation metrics, samples and the checkpoint when they are due, and always at the end."""
        if not self.accelerator.is_main_process:
            return
        if done % self.plan.validate_every == 0 or done == last:
            networks = {name: average.network.eval() for name, average in self.state.averages.items()}
            metrics = self.recipe.validate(networks)
            run_log.write(done - 1, {f"{VALIDATION_PREFIX}{name}": value for name, value in metrics.items()})
            samples = self.folder / "samples" / f"{done:07d}"
            make_folder(samples)
            self.recipe.sample(networks, samples)
        late = time.monotonic() - self._saved_s > SAVE_INTERVAL_S
        if done % self.plan.save_every == 0 or done == last or late:
            self.state.save(self.folder / CHECKPOINT_NAME, done)
            self._saved_s = time.monotonic()


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the sum of weight x loss. Raises EngineError unless both mappings have the same names."""
    if set(losses) != set(weights):
        raise EngineError(
            f"The loss table has {sorted(weights)}, but the recipe computed {sorted(losses)}; give both the same names"
        )
    return cast("Tensor", sum(weight * losses[name] for name, weight in weights.items()))


def _run_record(recipe: Recipe, plan: Plan, processes: int) -> dict[str, Any]:
    """Return everything that determines the steps of a run; a resumed run must have the same values."""
    tables: dict[str, Any] = {}
    for phase in recipe.phases:
        period = "" if (phase.start, phase.end) == (0.0, 1.0) else f" {phase.start:g} to {phase.end:g}"
        tables[phase.network + period] = dict(phase.weights)
    record = {"recipe": recipe.name, "losses": tables, "plan": asdict(plan), "processes": processes}
    return {**record, DATA_KEY: recipe.data} if recipe.data else record
