"""Frames like those of a photograph, and checks of the folder that a video is written to."""

import os

import numpy as np


def natural(height, width, seed=0):
    """A picture with the soft gradients and fine grain of a photograph, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(6 * rows * (1 + c) + 4 * columns * (3 - c) + c) for c in range(3)]
    return np.clip(120 + 70 * np.stack(waves, 2) + rng.normal(0, 3, (height, width, 3)), 0, 255).astype(np.uint8)


def still(count, height=64, width=64):
    picture = natural(height, width)
    for _ in range(count):
        yield picture


def is_temporary(name):
    return name.startswith(".sadtalker-") and name.endswith(".part")


def nothing_left(folder, *expected):
    return sorted(os.listdir(folder)) == sorted(expected)
