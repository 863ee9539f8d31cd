"""Phases of a training step: which network is trained with which losses, and in which part of the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One optimiser step of a training step: the network that is trained and its losses.

    network: key in ``Recipe.build()``; only the parameters of this network get gradients in this phase.
    weights: weight of each loss by name; the sum of weight x loss is minimised.
    learning_rate_scale: factor on ``Plan.learning_rate`` for this network.
    start, end: part of the run, as fractions from 0 to 1, in which the phase is active. A network may have
    consecutive phases, for example a first one whose losses need only a part of the network.
    """

    network: str
    weights: Mapping[str, float]
    learning_rate_scale: float = 1.0
    start: float = 0.0
    end: float = 1.0

    def is_active(self, step: int, steps: int) -> bool:
        """Return whether the phase is part of ``step`` (from 0) of a run of ``steps``."""
        return round(self.start * steps) <= step < round(self.end * steps)

    def has_losses_besides(self, losses: Collection[str]) -> bool:
        """Return whether the phase has a loss that is not in ``losses``."""
        return not set(self.weights) <= set(losses)


def staged_phases(
    network: str, weights: Mapping[str, float], first: Collection[str], until: float
) -> tuple[Phase, ...]:
    """Return the phases of a network that is first trained with some of its losses and then with all of them.

    weights: all losses. first: names of the losses of the first phase. until: fraction of the run at which the first
    phase ends; with 0 there is one phase with all losses.
    """
    all_losses = Phase(network, weights, start=until)
    if until == 0.0:
        return (all_losses,)
    return Phase(network, {name: weights[name] for name in first if name in weights}, end=until), all_losses
