"""Figures with names, units and meanings, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One measured value.

    name: short, the same in table and JSON. value: None or nan where it could not be measured.
    unit: empty for plain numbers. better: which way is better, empty where neither is.
    meaning: what it says, one line. across: how several clips become one number.
    """

    name: str
    value: float | None
    unit: str = ""
    better: Literal["higher", "lower", ""] = ""
    meaning: str = ""
    across: Literal["mean", "median"] = "mean"

    @property
    def measured(self) -> bool:
        """Whether there is a finite value."""
        return self.value is not None and math.isfinite(self.value)

    def shown(self) -> str:
        """The value with four significant digits, or a dash."""
        if self.value is None or not math.isfinite(self.value):
            return "inf" if self.value == math.inf else "-"
        text = f"{self.value:.4g}"
        return f"{self.value:.0f}" if "e" in text and abs(self.value) >= 1 else text


Report = Mapping[str, Sequence[Figure]]
"""Figures by the name of a clip or file."""


def to_table(report: Report) -> str:
    """A plain table: one row per figure, one column per clip, and all of them together where there are several."""
    first = _first_figures(report)
    clips = list(report)
    heads = ["figure", *clips, *(["overall"] if len(clips) > 1 else []), "unit", ""]
    arrows = {"higher": "higher is better", "lower": "lower is better", "": ""}
    rows = [heads]
    for name, figure in first.items():
        found = [_find(report[clip], name) for clip in clips]
        cells = [one.shown() if one else "-" for one in found]
        if len(clips) > 1:
            cells.append(Figure(name, overall(report, name)).shown())
        rows.append([name, *cells, figure.unit, arrows[figure.better]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = ["  ".join(_aligned(cell, widths[i], left=i == 0 or i >= len(heads) - 2) for i, cell in enumerate(row))
             for row in rows]  # fmt: skip
    lines.insert(1, "  ".join("-" * width for width in widths if width))
    return "\n".join(line.rstrip() for line in lines)


def to_json(report: Report) -> str:
    """``{"clips": {clip: {figure: value}}, "overall": {...}, "figures": {figure: {unit, better, ...}}}``.

    Values that could not be measured are null; an infinite one too.
    """
    first = _first_figures(report)
    content = {
        "clips": {clip: {one.name: _number(one.value) for one in figures} for clip, figures in report.items()},
        "overall": {name: _number(overall(report, name)) for name in first},
        "figures": {
            name: {"unit": one.unit, "better": one.better, "meaning": one.meaning, "across": one.across}
            for name, one in first.items()
        },
    }
    return json.dumps(content, indent=1)


def overall(report: Report, name: str) -> float | None:
    """Mean, or median where the figure says so, over the clips that have it; None if none has."""
    found = [one for figures in report.values() if (one := _find(figures, name)) is not None and one.measured]
    values = [one.value for one in found if one.value is not None]
    if not values:
        return None
    return median(values) if found[0].across == "median" else fmean(values)


def _first_figures(report: Report) -> dict[str, Figure]:
    first: dict[str, Figure] = {}
    for figures in report.values():
        for one in figures:
            first.setdefault(one.name, one)
    return first


def _find(figures: Sequence[Figure], name: str) -> Figure | None:
    return next((one for one in figures if one.name == name), None)


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _aligned(cell: str, width: int, *, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)
