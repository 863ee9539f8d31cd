"""Compatibility of grids: SD.Next has an X/Y/Z script that is always visible and makes its grid within a generation.

It sets the attribute ``xyz`` of the generation's record and generates each cell with a shallow copy of it. Then the
generation itself goes on and ends with the grid as its image, and without the comments on the cells. In the other
webuis, the X/Y/Z script is chosen from a list and replaces the generation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

IN_GRID: Final = "xyz"
CELL: Final = "sadtalker_is_cell"
"""Attribute that only the copies have."""
COMMENTS: Final = "sadtalker_comments"
"""Attribute with a list that a generation and the copies of it share."""


def begin(processing: Any) -> None:  # noqa: ANN401 - the host's record of a generation
    """Note whether a generation that begins is a cell of a grid."""
    if getattr(processing, IN_GRID, False):
        setattr(processing, CELL, True)
    else:
        setattr(processing, COMMENTS, [])


def is_grid(processing: Any) -> bool:  # noqa: ANN401
    """Whether the image of a generation that ends is a grid of cells, which were generations of their own."""
    return bool(getattr(processing, IN_GRID, False)) and not getattr(processing, CELL, False)


def add_comments(processing: Any, comments: Iterable[str]) -> None:  # noqa: ANN401
    """Add comments to those of the grid that the generation may be a cell of."""
    getattr(processing, COMMENTS, []).extend(comments)


def cell_comments(processing: Any) -> list[str]:  # noqa: ANN401
    """Return the comments on all cells of a grid."""
    return list(getattr(processing, COMMENTS, []))
