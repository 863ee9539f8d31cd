"""Problems that ``sadtalker train check`` finds, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LISTED: Final = 5
"""Clips that the text names before it says "and N more"; the JSON has all."""


@dataclass(frozen=True)
class Finding:
    """One kind of problem.

    check: name of the check. problem, remedy: sentences for users. places: what was measured, by clip, file or video.
    """

    check: str
    problem: str
    remedy: str
    places: Mapping[str, str] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return the problem, the places and the remedy in up to three lines."""
        shown = [f"{name} ({value})" if value else name for name, value in list(self.places.items())[:LISTED]]
        more = len(self.places) - len(shown)
        lines = [f"{self.check}: {self.problem}"]
        if shown:
            lines.append("    " + ", ".join(shown) + (f" and {more} more" if more else ""))
        return "\n".join([*lines, f"    Remedy: {self.remedy}"])


@dataclass(frozen=True)
class CheckReport:
    """Outcome of a check. summary: figures of the data set. findings: problems; empty if there are none."""

    summary: Mapping[str, Any]
    findings: tuple[Finding, ...]

    def to_text(self) -> str:
        """Return one line about the data set, the findings, and their number."""
        figures = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in self.summary.items())
        count = len(self.findings)
        total = "No problem was found." if not count else f"{count} problem{'s' if count > 1 else ''} found."
        return "\n".join([figures, *(finding.to_text() for finding in self.findings), total])

    def to_json(self) -> str:
        """Return ``{"summary": {...}, "problems": [{check, problem, remedy, places: {name: value}}]}``."""
        problems = [{**vars(finding), "places": dict(finding.places)} for finding in self.findings]
        return json.dumps({"summary": dict(self.summary), "problems": problems}, indent=2)


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with those of the same problem joined, in order of their first place."""
    joined: dict[tuple[str, str, str], dict[str, str]] = {}
    for finding in findings:
        joined.setdefault((finding.check, finding.problem, finding.remedy), {}).update(finding.places)
    return [Finding(*key, places) for key, places in joined.items()]
