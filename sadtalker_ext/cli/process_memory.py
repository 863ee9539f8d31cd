"""How much memory a program and its helpers use now, where the system tells (Linux)."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


def tree_memory_mb(process_id: int) -> float | None:
    """Resident megabytes of a process and all that it started; None where /proc is not there or it has ended."""
    kilobytes = _resident_kb(process_id)
    if kilobytes is None:
        return None
    return (kilobytes + sum(_resident_kb(child) or 0 for child in _descendants(process_id))) / 1024


def _resident_kb(process_id: int) -> int | None:
    try:
        lines = (PROC / str(process_id) / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), None)


def _descendants(process_id: int) -> list[int]:
    found: list[int] = []
    try:
        for task in (PROC / str(process_id) / "task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    except OSError:
        return found
    return found
