"""Pictures made from the astronaut with integer arithmetic only, so that they are equal on every machine."""

import numpy as np

FACE_CENTRE = (226, 123)
UPRIGHT = (1, 0, 1)
"""Cosine and sine of a rotation times a whole number, and that number."""


def sample(picture, centre, side, size, turn=UPRIGHT):
    """Return (size, size, 3): the square around ``centre`` (x, y), rotated clockwise; nearest pixels, edges repeated.

    side: in pixels of the picture, in steps of 1.
    """
    cosine, sine, unit = turn
    steps = 2 * np.arange(size, dtype=np.int64) + 1 - size
    u, v = steps[None, :], steps[:, None]
    # Twice the offset from the centre, rounded down.
    x = side * (cosine * u - sine * v) // (size * unit)
    y = side * (sine * u + cosine * v) // (size * unit)
    column = np.clip((2 * centre[0] + x) // 2, 0, picture.shape[1] - 1)
    row = np.clip((2 * centre[1] + y) // 2, 0, picture.shape[0] - 1)
    return np.ascontiguousarray(picture[row, column])


def face_crops(picture):
    """Return crops (192, 192, 3) by name: faces of several sizes, directions and colours, and two without a face."""
    plain = sample(picture, FACE_CENTRE, 168, 192)
    covered = plain.copy()
    covered[110:] = 128
    return {
        "plain": plain,
        "original pixels": sample(picture, FACE_CENTRE, 192, 192),
        "mirrored": np.ascontiguousarray(plain[:, ::-1]),
        "shifted": sample(picture, (236, 116), 175, 192),
        "close": sample(picture, FACE_CENTRE, 130, 192),
        "far": sample(picture, FACE_CENTRE, 260, 192),
        "turned right": sample(picture, FACE_CENTRE, 170, 192, (12, 5, 13)),
        "turned left": sample(picture, FACE_CENTRE, 170, 192, (4, -3, 5)),
        "grey": np.repeat(plain.sum(axis=2, keepdims=True) // 3, 3, axis=2).astype(np.uint8),
        "dark": plain // 3,
        "covered": covered,
        "upside down": np.ascontiguousarray(plain[::-1, ::-1]),
        "background": sample(picture, (400, 90), 150, 192),
    }


def scenes(picture, size):
    """Return pictures (size, size, 3) by name, with one face, two or none."""
    whole = sample(picture, (256, 256), 512, size)
    half = size // 2
    two = np.zeros_like(whole)
    two[:half, :half] = sample(picture, FACE_CENTRE, 260, half)
    two[half:, half:] = sample(picture, FACE_CENTRE, 200, half, (12, -5, 13))
    return {
        "whole": whole,
        "mirrored": np.ascontiguousarray(whole[:, ::-1]),
        "head": sample(picture, FACE_CENTRE, 240, size),
        "turned": sample(picture, (240, 200), 400, size, (4, 3, 5)),
        "small": sample(picture, (256, 256), 1400, size),
        "two": two,
        "empty": sample(picture, (410, 100), 200, size),
    }
