"""The matte covers only the person with the detected face; the filled background continues its surroundings."""

from __future__ import annotations

import numpy as np

from sadtalker_ext.puppet.backdrop import close_gaps, fill_background, fill_textured, person_mask, soft_matte

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


def test_textured_filling_continues_the_grain_but_no_edges():
    draw = np.random.default_rng(6)
    columns = np.arange(160)[None, :]
    picture = np.clip(120 + 0.4 * columns[..., None] + draw.normal(0, 5, (120, 160, 3)), 0, 255).astype(np.uint8)
    picture[:, 20:24] = 250
    mask = np.zeros((120, 160), np.uint8)
    mask[30:90, 50:110] = 255
    filled = fill_textured(picture, mask, HEIGHT_PX)
    np.testing.assert_array_equal(filled[mask == 0], picture[mask == 0])
    smooth = fill_background(picture, mask)
    inside = mask > 0
    grain = (filled.astype(float) - smooth)[inside].std()
    assert 0.6 * 5 < grain < 1.2 * 5
    assert np.abs(filled.astype(int) - smooth)[inside].max() <= 10
    assert np.abs(filled[inside].mean() - smooth[inside].mean()) < 1.0


def test_a_jagged_mask_before_a_smooth_background_leaves_no_streaks():
    rows, columns = np.mgrid[:160, :160].astype(float)
    levels = [60 + 0.7 * columns + 0.3 * rows, 200 - 0.8 * rows, 90 + 0.5 * columns]
    picture = np.stack(levels, axis=-1).astype(np.uint8)
    angle = np.arctan2(rows - 80, columns - 80)
    mask = (np.hypot(rows - 80, columns - 80) < 40 + 8 * np.sign(np.sin(11 * angle))).astype(np.uint8) * 255
    difference = fill_textured(picture, mask, HEIGHT_PX).astype(int) - fill_background(picture, mask)
    assert np.abs(difference).max() <= 3


def test_textured_filling_of_everything_or_of_a_huge_picture_is_the_plain_one():
    picture = np.random.default_rng(7).integers(0, 255, (40, 30, 3)).astype(np.uint8)
    whole = np.full((40, 30), 255, np.uint8)
    np.testing.assert_array_equal(fill_textured(picture, whole, HEIGHT_PX), fill_background(picture, whole))
    strip = np.random.default_rng(8).integers(0, 255, (8, 2700, 3)).astype(np.uint8)
    mask = np.zeros((8, 2700), np.uint8)
    mask[2:5, 100:200] = 255
    np.testing.assert_array_equal(fill_textured(strip, mask, HEIGHT_PX), fill_background(strip, mask))


def test_narrow_gaps_are_closed_and_wide_ones_stay():
    mask = np.zeros((80, 120), np.uint8)
    mask[20:60, 20:100] = 255
    mask[30:34, 40:44] = 0
    mask[20:50, 70:90] = 0
    closed = close_gaps(mask, 4.0)
    assert (closed[30:34, 40:44] == 255).all()
    assert (closed[20:40, 78:82] == 0).all()
    np.testing.assert_array_equal(closed[mask > 0], 255)
    assert (closed[:18] == 0).all()


def test_a_lower_threshold_includes_uncertain_parts_of_the_person():
    person = np.zeros((120, 200), np.float32)
    person[20:110, 20:70] = 1.0
    person[30:60, 70:90] = 0.2
    strict = person_mask(person, mesh_around(45, 50), HEIGHT_PX)
    loose = person_mask(person, mesh_around(45, 50), HEIGHT_PX, 0.15)
    assert strict[45, 85] == 0
    assert loose[45, 85] == 255
