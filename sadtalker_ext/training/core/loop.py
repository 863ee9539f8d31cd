"""The one training loop that every recipe shares.

A :class:`Recipe` says which networks there are, where a batch comes from and which named losses it has; the loop
does the rest: weights, steps, running averages of the weights (EMA), resume, CSV and TensorBoard, samples. Several
devices, processes or machines are Hugging Face accelerate's business: start with ``accelerate launch``.

Everything random at step ``s`` is drawn from ``(seed, s, process)``, so a run that stops and resumes takes exactly
the same steps as one that did not. Several processes take the steps that one would take with all their examples: the
losses are means, gradients are averaged, and batch norms see the batches of all (:mod:`.shared_norm`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from sadtalker_ext.errors import EngineError
from sadtalker_ext.training.core.checkpoint import Average, TrainingState
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.core.processes import open_accelerator
from sadtalker_ext.training.core.run_log import VALIDATION, RunLog
from sadtalker_ext.training.core.sampling import StepBatches, step_random
from sadtalker_ext.training.core.sync_batch_norm import share_batch_norms
from sadtalker_ext.training.core.training_errors import is_memory, out_of_memory, refuse_nan

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

CHECKPOINT_NAME = "checkpoint.pt"


class Recipe(Protocol):
    """What one component brings to the loop.

    ``losses`` must call networks through ``forward`` (``networks[name](...)``), which is what accelerate wraps, and
    the phase's own network once. The batch of a step goes through all phases; what an early phase adds to it, the
    later ones find.
    """

    name: str
    phases: tuple[Phase, ...]

    def build(self) -> dict[str, nn.Module]:
        """Fresh networks by name, on the CPU; initialised from the global torch generator, which the loop seeds."""
        ...

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """``size`` training examples as CPU tensors, drawn with nothing but ``random``."""
        ...

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """One scalar per name in ``phase.weights``, unweighted."""
        ...

    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Named figures on held-out data; the networks are the averaged ones, in eval mode."""
        ...

    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """Write something a person can look at into ``folder`` (it exists)."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    steps: length of the whole run; the learning rate falls to zero over it along a cosine.
    batch_size: examples that a process computes at once.
    accumulate: batches whose gradients make one step; a step sees batch_size x accumulate examples per process.
    learning_rate: peak, reached after ``warmup_steps``.
    betas: of Adam, the decays of its averages of gradients and of their squares.
    ema_decay: of the averaged weights that validation, samples and export use.
    clip_norm: gradients are scaled down to this norm.
    workers: processes that prepare batches ahead; 0 prepares them in the training process.
    precision: "no", "fp16" or "bf16", as accelerate calls it.
    """

    steps: int
    batch_size: int = 32
    accumulate: int = 1
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    log_every: int = 50
    validate_every: int = 1000
    save_every: int = 500
    seed: int = 0
    workers: int = 0
    precision: str = "no"

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to zero at ``steps``."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1.0 + float(np.cos(np.pi * min(1.0, progress))))


def train(recipe: Recipe, plan: Plan, folder: Path, stop_after: int | None = None) -> dict[str, nn.Module]:
    """Train, or go on where ``folder`` holds a checkpoint; returns the averaged networks on the CPU, in eval mode.

    stop_after: stop once this step is done and saved, as an interrupted run would; None runs to ``plan.steps``.
    """
    return _Trainer(recipe, plan, folder).run(plan.steps if stop_after is None else min(stop_after, plan.steps))


class _Trainer:
    def __init__(self, recipe: Recipe, plan: Plan, folder: Path) -> None:
        import torch

        self.recipe, self.plan, self.folder = recipe, plan, folder
        in_parts = len({phase.network for phase in recipe.phases}) < len(recipe.phases)
        self.accelerator = open_accelerator(plan.precision, in_parts=in_parts)
        torch.manual_seed(plan.seed)
        self.bare = recipe.build()
        averages = {name: Average(network, plan.ema_decay) for name, network in self.bare.items()}
        if self.accelerator.num_processes > 1:
            for network in self.bare.values():
                share_batch_norms(network)
        for phase in recipe.phases:
            if phase.network not in self.bare:
                raise EngineError(
                    f"recipe {recipe.name!r} trains {phase.network!r}, but builds only {sorted(self.bare)}; "
                    "name one of these in its phases"
                )
        self.state = TrainingState(
            networks=self.bare,
            averages=averages,
            optimizers={phase.network: self._optimizer(phase) for phase in recipe.phases},
            record=_record(recipe, plan, self.accelerator.num_processes),
            defaults=asdict(Plan(plan.steps)),
        )
        self.first = self.state.load_if_there(folder / CHECKPOINT_NAME)
        self.wrapped, self.stepper = self._prepare()

    def _optimizer(self, phase: Phase) -> Optimizer:
        import torch

        rate = self.plan.learning_rate * phase.learning_rate_scale
        return torch.optim.AdamW(
            self.bare[phase.network].parameters(), lr=rate, betas=self.plan.betas, weight_decay=self.plan.weight_decay
        )

    def _prepare(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        wrapped: dict[str, nn.Module] = {}
        stepper: dict[str, Any] = {}
        for name, network in self.bare.items():
            if name in self.state.optimizers:
                wrapped[name], stepper[name] = self.accelerator.prepare(network, self.state.optimizers[name])
            else:
                wrapped[name] = network.to(self.accelerator.device)
        for average in self.state.averages.values():
            average.network.to(self.accelerator.device)
        return wrapped, stepper

    def run(self, last: int) -> dict[str, nn.Module]:
        """Steps ``self.first`` .. ``last`` - 1."""
        import torch

        self.folder.mkdir(parents=True, exist_ok=True)
        with RunLog(self.folder, self.first, enabled=self.accelerator.is_main_process) as journal:
            started = time.monotonic()
            for step, batches in zip(range(self.first, last), self._batches(last), strict=False):
                torch.manual_seed(int(step_random(self.plan.seed, step, self._process).integers(2**62)))
                row = self._step(step, batches)
                if step % self.plan.log_every == 0 or step + 1 == last:
                    row["seconds"] = time.monotonic() - started
                    row["learning_rate"] = self.plan.learning_rate_at(step)
                    journal.write(step, row)
                self._after(step + 1, last, journal)
        averages = {name: average.network.cpu().eval() for name, average in self.state.averages.items()}
        self.accelerator.wait_for_everyone()
        return averages

    @property
    def _process(self) -> int:
        return int(self.accelerator.process_index)

    def _batches(self, last: int) -> Iterator[list[dict[str, Tensor]]]:
        """The batches of each step to come, on the device, prepared ahead by workers where the plan asks for them."""
        from torch.utils.data import DataLoader

        data = StepBatches(self.recipe, self.plan, range(self.first, last), self._process)
        loader: DataLoader[list[dict[str, Tensor]]] = DataLoader(
            cast("Any", data), batch_size=None, shuffle=False, num_workers=self.plan.workers
        )
        for batches in loader:
            yield [{name: tensor.to(self.accelerator.device) for name, tensor in batch.items()} for batch in batches]

    def _step(self, step: int, batches: list[dict[str, Tensor]]) -> dict[str, float]:
        row: dict[str, float] = {}
        try:
            for phase in self.recipe.phases:
                if phase.takes_place(step, self.plan.steps):
                    row.update(self._learn(step, phase, batches))
        except (RuntimeError, MemoryError) as error:
            if not is_memory(error):
                raise
            raise EngineError(out_of_memory(step, self.plan)) from error
        for name, average in self.state.averages.items():
            average.update(self.bare[name], step)
        return row

    def _learn(self, step: int, phase: Phase, batches: list[dict[str, Tensor]]) -> dict[str, float]:
        """One optimiser step; the other networks are constants in it and reach the recipe unwrapped."""
        learner, optimizer = self.wrapped[phase.network], self.stepper[phase.network]
        for name, network in self.bare.items():
            network.requires_grad_(name == phase.network)
            network.train()
        for group in optimizer.param_groups:
            group["lr"] = self.plan.learning_rate_at(step) * phase.learning_rate_scale
        optimizer.zero_grad()
        rows = []
        for batch in batches[:-1]:
            with self.accelerator.no_sync(learner):
                rows.append(self._gradients(step, phase, batch, len(batches)))
        rows.append(self._gradients(step, phase, batches[-1], len(batches)))
        norm = self.accelerator.clip_grad_norm_(learner.parameters(), self.plan.clip_norm)
        row = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        row[f"gradient_{phase.network}"] = float(norm)
        if self.plan.precision != "fp16":
            refuse_nan(step, row, self.plan)
        optimizer.step()
        optimizer.zero_grad()
        return row

    def _gradients(self, step: int, phase: Phase, batch: dict[str, Tensor], parts: int) -> dict[str, float]:
        """Add one batch's gradients; its losses, as the mean over all processes."""
        import torch

        networks = {**self.bare, phase.network: self.wrapped[phase.network]}
        with self.accelerator.autocast():
            losses = self.recipe.losses(phase, networks, batch)
        total = weighted_sum(losses, phase.weights)
        names = [*losses, f"total_{phase.network}"]
        values = torch.stack([value.detach().float() for value in (*losses.values(), total)])
        shared = cast("Tensor", self.accelerator.reduce(values, "mean"))
        row = dict(zip(names, shared.tolist(), strict=True))
        refuse_nan(step, row, self.plan)
        self.accelerator.backward(total / parts)
        return row

    def _after(self, done: int, last: int, journal: RunLog) -> None:
        """Checkpoint, validation and samples when they are due; always at the end."""
        if not self.accelerator.is_main_process:
            return
        if done % self.plan.validate_every == 0 or done == last:
            networks = {name: average.network.eval() for name, average in self.state.averages.items()}
            journal.write(done - 1, {f"{VALIDATION}{k}": v for k, v in self.recipe.validate(networks).items()})
            samples = self.folder / "samples" / f"{done:07d}"
            samples.mkdir(parents=True, exist_ok=True)
            self.recipe.sample(networks, samples)
        if done % self.plan.save_every == 0 or done == last:
            self.state.save(self.folder / CHECKPOINT_NAME, done)


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Sum of weight x loss; the names must be the same on both sides, so that no loss is forgotten."""
    if set(losses) != set(weights):
        raise EngineError(
            f"the loss table names {sorted(weights)}, the recipe computed {sorted(losses)}; make them agree"
        )
    return cast("Tensor", sum(weight * losses[name] for name, weight in weights.items()))


def _record(recipe: Recipe, plan: Plan, processes: int) -> dict[str, Any]:
    """What decides every step of a run; a resumed run must agree with all of it."""
    tables: dict[str, Any] = {}
    for phase in recipe.phases:
        when = "" if (phase.begins, phase.ends) == (0.0, 1.0) else f" {phase.begins:g} to {phase.ends:g}"
        tables[phase.network + when] = dict(phase.weights)
    return {"recipe": recipe.name, "losses": tables, "plan": asdict(plan), "processes": processes}
