"""Metrics with names, units and descriptions, and reports of them as a text table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One measured value.

    name: short name in table and JSON. value: None or nan if it could not be measured. unit: empty for plain numbers.
    better: "higher" or "lower", empty if neither is better. meaning: description in one line. across: how the values
    of several clips are combined.
    """

    name: str
    value: float | None
    unit: str = ""
    better: Literal["higher", "lower", ""] = ""
    meaning: str = ""
    across: Literal["mean", "median"] = "mean"

    @property
    def measured(self) -> bool:
        """Whether the value is finite."""
        return self.value is not None and math.isfinite(self.value)

    def format_value(self) -> str:
        """Return the value with four significant digits, or a dash."""
        if self.value is None or not math.isfinite(self.value):
            return "inf" if self.value == math.inf else "-"
        text = f"{self.value:.4g}"
        return f"{self.value:.0f}" if "e" in text and abs(self.value) >= 1 else text


Report = Mapping[str, Sequence[Metric]]
"""Metrics by the name of a clip or file."""


def to_table(report: Report) -> str:
    """Return a text table: one row per metric, one column per clip, and one for all clips if there are several."""
    first = _first_of_each(report)
    clips = list(report)
    header = ["metric", *clips, *(["overall"] if len(clips) > 1 else []), "unit", ""]
    arrows = {"higher": "higher is better", "lower": "lower is better", "": ""}
    rows = [header]
    for name, metric in first.items():
        found = [_find(report[clip], name) for clip in clips]
        cells = [item.format_value() if item else "-" for item in found]
        if len(clips) > 1:
            cells.append(Metric(name, overall(report, name)).format_value())
        rows.append([name, *cells, metric.unit, arrows[metric.better]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(_aligned(cell, widths[i], left=i == 0 or i >= len(header) - 2) for i, cell in enumerate(row))
             for row in rows]  # fmt: skip
    lines.insert(1, "  ".join("-" * width for width in widths if width))
    return "\n".join(line.rstrip() for line in lines)


def to_json(report: Report) -> str:
    """Return ``{"clips": {clip: {metric: value}}, "overall": {...}, "figures": {metric: {unit, better, ...}}}``.

    Values that could not be measured and infinite values are null.
    """
    first = _first_of_each(report)
    content = {
        "clips": {clip: {item.name: _finite(item.value) for item in metrics} for clip, metrics in report.items()},
        "overall": {name: _finite(overall(report, name)) for name in first},
        "figures": {
            name: {"unit": item.unit, "better": item.better, "meaning": item.meaning, "across": item.across}
            for name, item in first.items()
        },
    }
    return json.dumps(content, indent=1)


def overall(report: Report, name: str) -> float | None:
    """Return the mean or median, as the metric specifies, over the clips that have it; None if no clip has."""
    found = [item for metrics in report.values() if (item := _find(metrics, name)) is not None and item.measured]
    values = [item.value for item in found if item.value is not None]
    if not values:
        return None
    return median(values) if found[0].across == "median" else fmean(values)


def _first_of_each(report: Report) -> dict[str, Metric]:
    first: dict[str, Metric] = {}
    for metrics in report.values():
        for item in metrics:
            first.setdefault(item.name, item)
    return first


def _find(metrics: Sequence[Metric], name: str) -> Metric | None:
    return next((item for item in metrics if item.name == name), None)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _aligned(cell: str, width: int, *, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)
