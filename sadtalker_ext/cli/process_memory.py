"""How much memory a program and its helpers use now, where the system tells (Linux)."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


ALL, OWN = "Pss", "Pss_Anon"
"""All memory, and what the programs have filled themselves, without the files that are mapped."""


def tree_memory_mb(process_id: int, kind: str = ALL) -> float | None:
    """Megabytes of a process and all that it started; None where /proc is not there or it has ended.

    Pages that several of them share count once (proportional set size): a child between fork and exec shares all of its
    parent's, and counting those twice would report memory that nobody uses. Files count less while strangers have them
    mapped, too; kind :data:`OWN` leaves files out, so that two runs can be compared on a machine that others use.
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
