"""What a step of a training run sees: it depends on nothing but the seed, the step and the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from sadtalker_ext.training.core.loop import Plan, Recipe


def step_random(seed: int, step: int, process: int) -> np.random.Generator:
    """The generator of one step of one process; nothing else is random in a batch."""
    return np.random.default_rng((seed, step, process))


class StepBatches:
    """Map-style data set: item i is the list of batches of step ``steps[i]``, whoever prepares it."""

    def __init__(self, recipe: Recipe, plan: Plan, steps: range, process: int) -> None:
        self.recipe, self.plan, self.steps, self.process = recipe, plan, steps, process

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> list[dict[str, Tensor]]:
        random = step_random(self.plan.seed, self.steps[index], self.process)
        return [self.recipe.batch(random, self.plan.batch_size) for _ in range(self.plan.accumulate)]
