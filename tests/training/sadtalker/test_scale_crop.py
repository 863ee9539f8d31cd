"""Rescaled crop values equal those that the engine measures in the resized image."""

import numpy as np
import pytest

from sadtalker_ext.geometry.five_point_alignment import align_transform, flip_y
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.training.sadtalker.renderer_data import scale_crop


def crop_of(size_px):
    points = (subset_68(mean_face_mesh()) * 0.7 + 0.5) * size_px
    transform = align_transform(flip_y(points, size_px), size_px, size_px)
    return np.array([transform.scale, transform.x_px, transform.y_px], np.float32)


@pytest.mark.parametrize("size_px", [64, 128, 200])
def test_crop_values_scale_with_the_image(size_px):
    windows = np.random.default_rng(0).standard_normal((2, 73, 27)).astype(np.float32)
    windows[:, 70:] = crop_of(128)[:, None]
    smaller = scale_crop(windows, size_px / 128)
    np.testing.assert_allclose(smaller[:, 70:, 5], np.tile(crop_of(size_px), (2, 1)), rtol=1e-5)
    np.testing.assert_array_equal(smaller[:, :70], windows[:, :70])
