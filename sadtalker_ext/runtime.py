"""How a result is computed: device, number type, batch size, threads, folders. None of it changes the result."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import EngineError

if TYPE_CHECKING:
    import torch

AUTO = "auto"
GPU_BATCH = 16
CPU_BATCH = 4


@dataclass(frozen=True)
class Runtime:
    """The machine as the program should use it; nothing is probed before a method asks for it.

    device: a torch device name, or "auto" for the first of CUDA, MPS and CPU that is there.
    dtype: "float32", "float16", "bfloat16", or "auto" for float32.
    batch_size: frames computed together; 0 leaves it to the device.
    threads: CPU threads; 0 is one per core that this process may use.
    folders: searched for checkpoints before the usual places, in order.
    """

    device: str = AUTO
    dtype: str = AUTO
    batch_size: int = 0
    threads: int = 0
    folders: tuple[Path, ...] = ()

    def torch_device(self) -> torch.device:
        """The device to compute on; an EngineError if the one asked for is not there."""
        import torch

        if self.device == AUTO:
            return torch.device(_best_device())
        try:
            device = torch.device(self.device)
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError) as e:
            raise EngineError(
                f"The device {self.device!r} cannot be used ({str(e).splitlines()[0]}); try --device auto or cpu"
            ) from e
        return device

    def torch_dtype(self, offered: tuple[str, ...] = ("float32",)) -> torch.dtype:
        """The number type to compute in; an EngineError if the engine does not offer the one asked for."""
        import torch

        name = offered[0] if self.dtype == AUTO else self.dtype
        if name not in offered:
            raise EngineError(f"This engine computes in {', '.join(offered)}, not in {name!r}; try --dtype auto")
        dtype: torch.dtype = getattr(torch, name)
        return dtype

    def frames_at_once(self) -> int:
        """Frames to compute together on this device."""
        if self.batch_size > 0:
            return self.batch_size
        return CPU_BATCH if self.torch_device().type == "cpu" else GPU_BATCH

    def cpu_threads(self) -> int:
        """CPU threads to compute with."""
        return self.threads if self.threads > 0 else usable_cores()


def usable_cores() -> int:
    """CPU cores this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
