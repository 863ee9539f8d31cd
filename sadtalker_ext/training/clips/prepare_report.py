"""What became of the videos, for programs (report.json) and for people (report.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.training.clips.shards import write_json, write_whole

if TYPE_CHECKING:
    from sadtalker_ext.training.clips.prepare_clips import VideoReport

SHOWN: Final = 200
"""Videos without a clip that report.md lists; report.json has them all."""


def write_report(folder: Path, reports: Sequence[VideoReport]) -> None:
    """Write both files."""
    write_json(folder / "report.json", {"lost_s": lost_s(reports), "videos": [asdict(report) for report in reports]})
    write_whole(folder / "report.md", as_text(reports))


def lost_s(reports: Sequence[VideoReport]) -> dict[str, float]:
    """Seconds that could not be used by reason, the most first."""
    lost: dict[str, float] = {}
    for report in reports:
        for reason, seconds in report.lost_s.items():
            lost[reason] = round(lost.get(reason, 0.0) + seconds, 2)
    return dict(sorted(lost.items(), key=lambda item: -item[1]))


def as_text(reports: Sequence[VideoReport]) -> str:
    """The report as Markdown."""
    seconds, used = sum(report.seconds for report in reports), sum(report.used_s for report in reports)
    clips = sum(report.clips for report in reports)
    lines = ["# What became of the videos", ""]
    lines += [f"{len(reports)} videos, {seconds:.0f} s read, {used:.0f} s in {clips} clips."]
    lines += ["", "| left out because | seconds |", "|---|---|"]
    lines += [f"| {reason} | {lost:.1f} |" for reason, lost in lost_s(reports).items()]
    empty = [report for report in reports if not report.clips]
    if empty:
        lines += ["", f"{len(empty)} videos gave no clip:", "", "| video | why |", "|---|---|"]
        lines += [f"| {report.path} | {report.error or _reasons(report)} |" for report in empty[:SHOWN]]
    return "\n".join([*lines, ""])


def _reasons(report: VideoReport) -> str:
    return "; ".join(f"{reason} {seconds:.1f} s" for reason, seconds in report.lost_s.items()) or "it has no frames"
