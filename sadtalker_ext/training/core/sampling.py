"""Random numbers and batches of a training step; both depend only on the seed, the step and the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from sadtalker_ext.training.core.plan import Plan
    from sadtalker_ext.training.core.recipe import Recipe


def step_generator(seed: int, step: int, process: int) -> np.random.Generator:
    """Return the random generator of one step of one process, the only source of randomness in a batch."""
    return np.random.default_rng((seed, step, process))


class StepDataset:
    """Map-style data set whose item i is the list of ``plan.accumulate`` batches of step ``steps[i]``.

    Items are the same in whichever worker process they are prepared.
    """

    def __init__(self, recipe: Recipe, plan: Plan, steps: range, process: int) -> None:
        self.recipe, self.plan, self.steps, self.process = recipe, plan, steps, process

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> list[dict[str, Tensor]]:
        random = step_generator(self.plan.seed, self.steps[index], self.process)
        return [self.recipe.batch(random, self.plan.batch_size) for _ in range(self.plan.accumulate)]
