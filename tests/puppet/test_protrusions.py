"""What stands out of the mask of a person is added to it, so that no still copy stays behind a moving head."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sadtalker_ext.puppet.backdrop import fill_background
from sadtalker_ext.puppet.protrusions import add_protrusions

HEIGHT_PX = 100.0
PERSON = (slice(90, 240), slice(90, 180))


def scene(grain: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return a background (240, 270, 3) with a gradient and grain, and the mask of a person in front of it."""
    rows, columns = np.mgrid[:240, :270]
    levels = np.stack([140 + 0.2 * columns, 150 - 0.1 * rows, 160 + 0.1 * rows], axis=-1)
    levels += np.random.default_rng(0).normal(0.0, grain, (240, 270, 1))
    mask = np.zeros((240, 270), np.uint8)
    mask[PERSON] = 255
    return np.clip(levels, 0, 255).astype(np.uint8), mask


def with_person(background: np.ndarray) -> np.ndarray:
    picture = background.copy()
    picture[PERSON] = (200, 120, 60)
    return picture


@pytest.mark.parametrize("colour", [(30, 20, 60), (250, 250, 250), (60, 160, 180)])
def test_a_rim_an_earring_and_a_strand_of_hair_are_added(colour: tuple[int, int, int]):
    background, mask = scene()
    picture = with_person(background)
    cv2.ellipse(picture, (135, 150), (58, 30), 0, 0, 360, colour, 3)
    cv2.line(picture, (120, 90), (112, 76), colour, 2)
    cv2.circle(picture, (185, 110), 5, colour, -1)
    attached = add_protrusions(picture, mask, HEIGHT_PX)
    changed = np.abs(picture.astype(int) - background).max(-1) > 12
    assert (attached[changed] > 0).mean() > 0.995
    assert (attached[mask == 0] > 0).mean() < 0.06
    filled = fill_background(picture, attached)
    assert np.abs(filled.astype(int) - background).max(-1)[changed].mean() < 8


def test_nothing_is_added_where_nothing_stands_out():
    background, mask = scene(grain=6.0)
    np.testing.assert_array_equal(add_protrusions(background, mask, HEIGHT_PX) >= mask, True)
    attached = add_protrusions(with_person(background), mask, HEIGHT_PX)
    beyond = cv2.dilate(mask, np.ones((7, 7), np.uint8)) == 0
    assert (attached[beyond] > 0).mean() < 0.002


def test_a_bar_that_passes_behind_the_person_is_taken_only_next_to_the_person():
    background, mask = scene()
    background[120:126] = (40, 40, 40)
    attached = add_protrusions(with_person(background), mask, HEIGHT_PX)
    assert (attached[120:126, 182:188] == 255).all()
    assert (attached[120:126, 198:] == 0).all()


def test_a_thing_apart_from_the_person_stays():
    background, mask = scene()
    picture = with_person(background)
    picture[100:110, 190:198] = (20, 20, 20)
    attached = add_protrusions(picture, mask, HEIGHT_PX)
    assert (attached[100:110, 190:198] == 0).all()


def test_a_picture_without_visible_background_keeps_its_mask():
    background, _ = scene()
    mask = np.full(background.shape[:2], 255, np.uint8)
    mask[:, :10] = 0
    np.testing.assert_array_equal(add_protrusions(background, mask, HEIGHT_PX), mask)
