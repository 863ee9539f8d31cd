"""The matte covers only the person with the detected face; the filled background continues its surroundings."""

from __future__ import annotations

import numpy as np

from sadtalker_ext.puppet.backdrop import fill_background, person_mask, soft_matte

HEIGHT_PX = 40.0


def mesh_around(x: float, y: float) -> np.ndarray:
    angles = np.linspace(0.0, 2.0 * np.pi, 478)
    return np.stack([x + 18 * np.cos(angles), y + 20 * np.sin(angles), 0 * angles], axis=1).astype(np.float32)


def test_the_mask_covers_only_the_person_with_the_face():
    person = np.zeros((120, 200), np.float32)
    person[20:110, 20:70] = 1.0
    person[20:110, 140:190] = 1.0
    mask = person_mask(person, mesh_around(45, 50), HEIGHT_PX)
    assert mask[60, 45] == 255
    assert mask[60, 165] == 0


def test_the_matte_is_one_inside_and_fades_outside():
    mask = np.zeros((100, 100), np.uint8)
    mask[30:70, 30:70] = 255
    matte = soft_matte(mask, HEIGHT_PX)
    assert matte[mask > 0].min() == 1.0
    assert matte[0, 0] == 0.0
    edge = matte[50, 70:76]
    assert np.all(np.diff(edge) <= 0)


def test_filling_continues_a_gradient_and_keeps_the_rest():
    rows, columns = np.mgrid[:96, :128]
    picture = np.stack([columns, 2 * rows, 255 - columns], axis=-1).astype(np.uint8)
    mask = np.zeros((96, 128), np.uint8)
    mask[30:60, 40:80] = 255
    damaged = picture.copy()
    damaged[mask > 0] = 0
    filled = fill_background(damaged, mask)
    np.testing.assert_array_equal(filled[mask == 0], picture[mask == 0])
    error = np.abs(filled.astype(int) - picture)[mask > 0]
    assert error.mean() < 12
