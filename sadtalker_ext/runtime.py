"""Device, dtype, batch size, threads and checkpoint folders, which do not change a result beyond rounding."""

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
"""Default batch size on CUDA and MPS, frames."""
CPU_BATCH = 1
"""Default batch size on the CPU, frames: a batch takes as long as its frames one by one, and more memory."""
AUTO_DTYPE = "float32"
ALL_DTYPES = (AUTO_DTYPE, "float16", "bfloat16")
CPU_INFO = Path("/proc/cpuinfo")
"""Lists the features of the CPU on Linux. Elsewhere bfloat16 is not offered on the CPU."""
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Names of the features on x86 and Arm."""
OUT_OF_MEMORY_PHRASES = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")
"""Phrases in the messages of torch's allocators, in lower case."""


@dataclass(frozen=True)
class Runtime:
    """How the program uses the machine; devices are probed only when a method needs them.

    device: a torch device name, or "auto" for the first available of CUDA, MPS and CPU.
    dtype: "float32", "float16", "bfloat16", or "auto" for float32; on CUDA, "auto" is float16 for engines that
        offer it, if it agrees with float32 in a test when the engine is opened.
    batch_size: frames per batch; 0 selects :data:`GPU_BATCH` or :data:`CPU_BATCH`.
    threads: CPU threads; 0 selects one per core that this process may use.
    folders: searched for checkpoints before the default folders, in order.
    """

    device: str = AUTO
    dtype: str = AUTO
    batch_size: int = 0
    threads: int = 0
    folders: tuple[Path, ...] = ()

    def torch_device(self) -> torch.device:
        """Return the device to compute on; EngineError if the requested device is not available."""
        import torch

        if self.device == AUTO:
            return torch.device(_best_device())
        try:
            device = torch.device(self.device)
            torch.zeros(1, device=device).item()  # fails on devices without values, such as meta
        except (RuntimeError, AssertionError, ValueError, ImportError) as e:
            reason = next(iter(str(e).splitlines()), type(e).__name__)
            raise EngineError(
                f"The device {self.device!r} cannot be used ({reason}); choose the device 'auto' or 'cpu'"
            ) from e
        return device

    def torch_dtype(self, offered: tuple[str, ...] = ("float32",)) -> torch.dtype:
        """Return the dtype to compute in; EngineError if it is not in ``offered``, the dtypes of the engine."""
        import torch

        name = offered[0] if self.dtype == AUTO else self.dtype
        if name not in offered:
            raise EngineError(
                f"This engine computes in {', '.join(offered)}, not in {name!r}; choose the dtype 'auto'"
            )
        dtype: torch.dtype = getattr(torch, name)
        return dtype

    def torch_dtype_on(self, device: torch.device) -> torch.dtype:
        """Return the dtype to compute in on ``device``; EngineError if the device would emulate it or lacks it."""
        import torch

        offered = offered_dtypes(device)
        if self.dtype == AUTO:
            return torch.float16 if device.type == "cuda" else torch.float32
        if self.dtype in ALL_DTYPES and self.dtype not in offered:
            raise EngineError(
                f"The device {device.type!r} of this machine does not compute in {self.dtype!r} by itself, only in "
                f"{' and '.join(offered)}; choose the dtype 'auto'"
            )
        return self.torch_dtype(offered)

    def frames_per_batch(self) -> int:
        """Return the number of frames per batch on this device."""
        if self.batch_size > 0:
            return self.batch_size
        return CPU_BATCH if self.torch_device().type == "cpu" else GPU_BATCH

    def cpu_threads(self) -> int:
        """Return the number of CPU threads to compute with."""
        return self.threads if self.threads > 0 else usable_cores()


def offered_dtypes(device: torch.device) -> tuple[str, ...]:
    """Return the dtypes in which networks run fast on ``device``: float32, and those it does not emulate."""
    import torch

    offered = [AUTO_DTYPE]
    if device.type in ("cuda", "mps"):
        offered.append("float16")
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        offered.append("bfloat16")
    if device.type == "cpu" and cpu_computes_bfloat16():
        offered.append("bfloat16")
    return tuple(offered)


def cpu_computes_bfloat16() -> bool:
    """Return whether the CPU has instructions for products in bfloat16; without them one frame takes minutes."""
    try:
        lines = CPU_INFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return not BFLOAT16_FLAGS.isdisjoint(flags)


def usable_cores() -> int:
    """Return the number of CPU cores that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of torch or Python means that memory ran out on CUDA, MPS or the CPU."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(phrase in text for phrase in OUT_OF_MEMORY_PHRASES)
