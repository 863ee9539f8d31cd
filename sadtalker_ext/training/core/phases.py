"""Phases of a training step: which network learns from which losses, and in which part of the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One optimiser step of a training step: which network learns, and from which losses.

    network: key in ``Recipe.build()``; only this network's parameters get gradients in this phase.
    weights: the loss table, name of a loss to its weight; the sum of weight x loss is minimised.
    learning_rate_scale: factor on ``Plan.learning_rate`` for this network.
    begins, ends: part of the run, from 0 to 1, in which the phase takes place; a network may have one phase after
    another, with losses that call for only a part of it at first.
    """

    network: str
    weights: Mapping[str, float]
    learning_rate_scale: float = 1.0
    begins: float = 0.0
    ends: float = 1.0

    def takes_place(self, step: int, steps: int) -> bool:
        """Whether it belongs to ``step`` of a run of ``steps``."""
        return round(self.begins * steps) <= step < round(self.ends * steps)

    def needs_more_than(self, losses: Collection[str]) -> bool:
        """Whether it has losses besides these."""
        return not set(self.weights) <= set(losses)


def first_then_all(
    network: str, weights: Mapping[str, float], first: Collection[str], until: float
) -> tuple[Phase, ...]:
    """Phases of a network that learns from the losses named ``first`` alone in the part ``until`` of the run, then from
    all of ``weights``; with ``until`` 0 from all at once.
    """
    whole = Phase(network, weights, begins=until)
    if until == 0.0:
        return (whole,)
    return Phase(network, {name: weights[name] for name in first if name in weights}, ends=until), whole
