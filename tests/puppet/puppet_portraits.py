"""Portraits for the tests of the geometric renderer: the astronaut, and shared test pictures where they exist."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from sadtalker_ext.faces.find import find_faces
from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.basis import SHAPE_INDEX

SHARED = Path(__file__).resolve().parents[3] / "shared" / "portraits"
NAMES = ("astronaut", *sorted(path.stem for path in SHARED.glob("*.png")))
EYES = ((topo.LEFT_EYE_UPPER, topo.LEFT_EYE_LOWER), (topo.RIGHT_EYE_UPPER, topo.RIGHT_EYE_LOWER))


@cache
def picture_of(name: str) -> np.ndarray:
    if name == "astronaut":
        from skimage.data import astronaut

        return astronaut()
    from PIL import Image

    return np.asarray(Image.open(SHARED / f"{name}.png").convert("RGB"))


def enlarged(name: str, scale: int) -> np.ndarray:
    """Return a picture with ``scale`` times its width and height."""
    return cv2.resize(picture_of(name), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


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


def eye_middle(mesh: np.ndarray, chains: tuple) -> tuple[tuple[int, int], int]:
    """Return the middle of an eye and half its width in pixels; chains: the mesh points of its lids."""
    corners = mesh[[chains[0][0], chains[0][-1]], :2]
    x, y = np.rint(corners.mean(axis=0)).astype(int)
    return (int(x), int(y)), round(float(np.hypot(*(corners[1] - corners[0]))) / 2.0)
