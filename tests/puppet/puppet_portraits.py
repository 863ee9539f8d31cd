"""Portraits for the tests of the geometric renderer: the astronaut, and shared test pictures where they exist."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from sadtalker_ext.faces.find import find_faces
from sadtalker_ext.puppet.basis import SHAPE_INDEX

SHARED = Path(__file__).resolve().parents[3] / "shared" / "portraits"
NAMES = ("astronaut", *sorted(path.stem for path in SHARED.glob("*.png")))


@cache
def picture_of(name: str) -> np.ndarray:
    if name == "astronaut":
        from skimage.data import astronaut

        return astronaut()
    from PIL import Image

    return np.asarray(Image.open(SHARED / f"{name}.png").convert("RGB"))


@cache
def mesh_of(name: str) -> np.ndarray:
    return find_faces(picture_of(name))[0].mesh - np.float32([0.5, 0.5, 0.0])


STILL = np.zeros(3, np.float32)


def shape(**coefficients: float) -> np.ndarray:
    """Return an expression (E,) with some shapes set by name."""
    expression = np.zeros(len(SHAPE_INDEX), np.float32)
    for name, value in coefficients.items():
        expression[SHAPE_INDEX[name]] = value
    return expression
