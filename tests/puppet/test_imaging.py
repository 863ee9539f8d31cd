"""Texture look-ups between pixels, compared with bilinear interpolation written in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.puppet.imaging import CpuImaging, Texture


def bilinear(picture, points):
    """Interpolate between the four neighbours; beyond the border its pixels are repeated."""
    height, width = picture.shape[:2]
    x, y = points[..., 0], points[..., 1]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    across, down = (x - left)[..., None], (y - top)[..., None]
    columns = [np.clip(left + step, 0, width - 1) for step in (0, 1)]
    rows = [np.clip(top + step, 0, height - 1) for step in (0, 1)]
    a, b, c, d = (picture[row, column].astype(float) for row in rows for column in columns)
    return (a * (1 - across) + b * across) * (1 - down) + (c * (1 - across) + d * across) * down


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("kind", "tolerance"), [(np.uint8, 3.0), (np.float32, 0.02)])
def test_look_ups_between_pixels_are_bilinear(channels, kind, tolerance):
    """OpenCV rounds positions to 1/32 pixel, which is at most 3 levels of 255 on noise."""
    random = np.random.default_rng(3)
    picture = random.random((90, 120, channels)) * (255 if kind is np.uint8 else 1)
    points = (random.random((200, 64, 2)) * (140, 110) - 10).astype(np.float32)
    points = np.round(points * 32) / 32
    found = CpuImaging().sample_texels(Texture(picture.astype(kind), 1.0, (0.0, 0.0)), points.astype(np.float32))
    expected = bilinear(picture.astype(kind), points)
    assert found.dtype == kind
    assert np.abs(found.reshape(expected.shape).astype(float) - expected).max() < tolerance
