"""Metrics with names, units and descriptions, and reports of them as a text table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final, Literal


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


MAX_COLUMNS: Final = 8
"""A table of more clips has the mean, lowest and highest value instead of a column per clip."""

Report = Mapping[str, Sequence[Metric]]
"""Metrics by the name of a clip or file."""


def to_table(report: Report) -> str:
    """Return a text table: one row per metric, one column per clip, and one for all clips if there are several.

    Many clips are summarised by their lowest and highest value; the JSON has all.
    """
    first = _first_of_each(report)
    clips = list(report)
    many = len(clips) > MAX_COLUMNS
    columns = [*clips, *(["overall"] if len(clips) > 1 else [])]
    if many:
        columns = ["overall", "lowest", "highest", "clips"]
    arrows = {"higher": "higher is better", "lower": "lower is better", "": ""}
    rows = [["metric", *columns, "unit", ""]]
    for name, metric in first.items():
        found = [_find(report[clip], name) for clip in clips]
        cells = [item.format_value() if item else "-" for item in found]
        total = Metric(name, overall(report, name)).format_value()
        if many:
            cells = [total, *_summary(name, found)]
        elif len(clips) > 1:
            cells.append(total)
        rows.append([name, *cells, metric.unit, arrows[metric.better]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(_aligned(cell, widths[i], left=i == 0 or i >= len(widths) - 2) for i, cell in enumerate(row))
             for row in rows]  # fmt: skip
    lines.insert(1, "  ".join("-" * width for width in widths if width))
    return "\n".join(line.rstrip() for line in lines)


def to_json(report: Report, failed: Mapping[str, str] | None = None) -> str:
    """Return ``{"clips": {clip: {metric: value}}, "overall": {...}, "figures": {metric: {unit, better, ...}}}``.

    Values that could not be measured and infinite values are null. failed: messages of clips that could not be
    measured, by name; stored under that name if there are any.
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
    return json.dumps({**content, "failed": dict(failed)} if failed else content, indent=1)


def overall(report: Report, name: str) -> float | None:
    """Return the mean or median, as the metric specifies, over the clips that have it; None if no clip has."""
    found = [item for metrics in report.values() if (item := _find(metrics, name)) is not None and item.measured]
    values = [item.value for item in found if item.value is not None]
    if not values:
        return None
    return median(values) if found[0].across == "median" else fmean(values)


def _summary(name: str, found: Sequence[Metric | None]) -> list[str]:
    """Return the lowest and the highest value, and the number of clips that have one."""
    values = [item.value for item in found if item is not None and item.measured and item.value is not None]
    if not values:
        return ["-", "-", "0"]
    return [*(Metric(name, value).format_value() for value in (min(values), max(values))), str(len(values))]


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
