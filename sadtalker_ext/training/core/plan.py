"""Training plan: length, speed and batch sizes of one run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plan:
    """Hyperparameters of a training run that do not depend on the recipe.

    steps: length of the whole run; the learning rate falls to zero over it along a cosine.
    batch_size: examples that one process computes at once.
    accumulate: batches whose gradients form one step; a step sees batch_size x accumulate examples per process.
    learning_rate: peak of the learning rate, reached after ``warmup_steps``.
    betas: Adam's decay rates for the averages of gradients and of squared gradients.
    clip_norm: maximum gradient norm; larger gradients are scaled down.
    ema_decay: decay of the averaged weights that validation, samples and export use.
    log_every, validate_every, save_every: intervals in steps.
    workers: processes that prepare batches ahead; 0 prepares them in the training process.
    precision: "no", "fp16" or "bf16", the names that accelerate uses.
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
        """Return the learning rate of ``step``: linear warm-up, then half a cosine down to zero at ``steps``."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1.0 + float(np.cos(np.pi * min(1.0, progress))))
