"""Memory use of a process and its children, on Linux."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
ALL: Final = "Pss"
"""All memory."""
ANONYMOUS: Final = "Pss_Anon"
"""Memory that the processes allocated themselves, without mapped files."""


def tree_memory_mb(process_id: int, kind: str = ALL) -> float | None:
    """Return the memory of a process and all its descendants in MiB; None without /proc or if it has ended.

    kind: :data:`ALL` or :data:`ANONYMOUS`. Mapped files count less while unrelated processes map them as well; without
    them, two runs can be compared on a machine that others use.

    Pages that several processes share count once (proportional set size): a child between fork and exec shares all
    pages of its parent, and counting them twice would report memory that is not used.
    """
    kilobytes = _share_kb(process_id, kind)
    if kilobytes is None:
        return None
    return (kilobytes + sum(_share_kb(child, kind) or 0 for child in _descendants(process_id))) / 1024


def _share_kb(process_id: int, kind: str) -> int | None:
    try:
        lines = (PROC / str(process_id) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")), None)


def _descendants(process_id: int) -> list[int]:
    found: list[int] = []
    try:
        for task in (PROC / str(process_id) / "task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    except OSError:
        return found
    return found


def reset_peak_memory(device: str) -> None:
    """Begin a new measurement of :func:`peak_memory_mb`."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    else:
        with suppress(FileNotFoundError, PermissionError):  # other systems, and containers without this right
            (PROC / "self" / "clear_refs").write_text("5")  # resets VmHWM, see proc_pid_clear_refs(5)


def peak_memory_mb(device: str) -> float | None:
    """Return the peak memory on CUDA, or of this process, in MiB; None if the system does not tell."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    try:
        lines = (PROC / "self" / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)
