"""Line plots as SVG files, so that training needs no plotting package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np

from sadtalker_ext.system.atomic_output import write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
_WIDTH_PX, _ROW_PX, _TITLE_PX = 1200.0, 90.0, 16.0


def write_track_plot(path: Path, rows: Mapping[str, NDArray[np.floating[Any]]], *, low: float, high: float) -> None:
    """Write one row of curves per entry of ``rows``: title -> (T, C) values, clipped to ``low`` and ``high``."""
    height = len(rows) * (_ROW_PX + _TITLE_PX)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH_PX:g}" height="{height:g}">']
    lines.append('<rect width="100%" height="100%" fill="white"/>')
    for number, (title, tracks) in enumerate(rows.items()):
        top = number * (_ROW_PX + _TITLE_PX) + _TITLE_PX
        lines.append(f'<text x="4" y="{top - 3:g}" font-size="12" font-family="sans-serif">{escape(title)}</text>')
        zero = top + _ROW_PX * high / (high - low)
        lines.append(f'<line x1="0" x2="{_WIDTH_PX:g}" y1="{zero:g}" y2="{zero:g}" stroke="#ccc"/>')
        x = np.linspace(0.0, _WIDTH_PX, len(tracks))
        y = top + _ROW_PX * (high - np.clip(tracks, low, high)) / (high - low)
        for column in range(tracks.shape[1]):
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y[:, column], strict=True))
            colour = _COLOURS[column % len(_COLOURS)]
            lines.append(f'<polyline fill="none" stroke="{colour}" points="{points}"/>')
    write_text(path, "\n".join([*lines, "</svg>", ""]))
