"""Report of ``sadtalker train prepare``: used and lost seconds of each video, as JSON and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.system.atomic_output import write_text
from sadtalker_ext.training.core.json_files import write_json

MARKDOWN_ROWS: Final = 200
"""Maximum number of videos without clips in report.md; report.json lists all."""


@dataclass
class VideoReport:
    """Result of preparing one video.

    seconds: duration. clips, used_s: number and total duration of its clips. lost_s: unusable seconds by reason.
    cuts: number of interruptions of the face track by reason. error: why the video cannot be used, or "".
    """

    path: str
    identity: str
    seconds: float = 0.0
    clips: int = 0
    used_s: float = 0.0
    lost_s: dict[str, float] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    error: str = ""

    def add_lost(self, reason: str, frames: int) -> None:
        """Count frames that cannot be used."""
        if frames:
            self.lost_s[reason] = round(self.lost_s.get(reason, 0.0) + frames / FRAME_RATE_HZ, 2)


def write_report(folder: Path, reports: Sequence[VideoReport]) -> None:
    """Write ``report.json`` and ``report.md``."""
    write_json(folder / "report.json", {"lost_s": lost_s(reports), "videos": [asdict(report) for report in reports]})
    write_text(folder / "report.md", format_report(reports))


def lost_s(reports: Sequence[VideoReport]) -> dict[str, float]:
    """Return the unusable seconds by reason, in descending order."""
    lost: dict[str, float] = {}
    for report in reports:
        for reason, seconds in report.lost_s.items():
            lost[reason] = round(lost.get(reason, 0.0) + seconds, 2)
    return dict(sorted(lost.items(), key=lambda item: -item[1]))


def format_report(reports: Sequence[VideoReport]) -> str:
    """Return the report as Markdown."""
    seconds, used = sum(report.seconds for report in reports), sum(report.used_s for report in reports)
    clips = sum(report.clips for report in reports)
    lines = ["# Prepared videos", ""]
    lines += [f"{len(reports)} videos, {seconds:.0f} s read, {used:.0f} s in {clips} clips."]
    lines += ["", "| reason for exclusion | seconds |", "|---|---|"]
    lines += [f"| {reason} | {lost:.1f} |" for reason, lost in lost_s(reports).items()]
    empty = [report for report in reports if not report.clips]
    if empty:
        lines += ["", f"{len(empty)} videos have no clip:", "", "| video | reason |", "|---|---|"]
        lines += [f"| {report.path} | {report.error or _format_reasons(report)} |" for report in empty[:MARKDOWN_ROWS]]
    return "\n".join([*lines, ""])


def _format_reasons(report: VideoReport) -> str:
    lost = [f"{reason} {seconds:.1f} s" for reason, seconds in report.lost_s.items()]
    return "; ".join(lost) or "the video has no frames"
