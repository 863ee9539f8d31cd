"""Interface between a training recipe and the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from sadtalker_ext.training.core.phases import Phase


class Recipe(Protocol):
    """Networks, data and losses of one component.

    ``losses`` must call a network through ``forward`` (``networks[name](...)``), which accelerate wraps, and the
    network of the current phase exactly once. All phases of a step receive the same batch dictionary; entries that an
    earlier phase adds are visible to later phases.
    """

    name: str
    phases: tuple[Phase, ...]
    data: str
    """Description of the data, which a resumed run must have; empty if the recipe makes its own."""

    def build(self) -> dict[str, nn.Module]:
        """Return new networks by name, on the CPU, initialised from the global torch generator (the loop seeds it)."""
        ...

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Return ``size`` training examples as CPU tensors; ``random`` is the only source of randomness."""
        ...

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return one unweighted scalar for each name in ``phase.weights``."""
        ...

    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Return named metrics on held-out data; ``networks`` are the averaged networks in eval mode."""
        ...

    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """Write files for visual inspection to ``folder``, which exists."""
        ...
