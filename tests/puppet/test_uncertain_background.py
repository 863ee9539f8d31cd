"""What segmentation takes for the person with little certainty: wide background is removed, hair and the rest stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sadtalker_ext.puppet.uncertain_background import without_background

SIDE, HEIGHT = 400, 100.0
CENTRE = np.array([150.0, 200.0])
PLACE = (CENTRE, HEIGHT)
BACKGROUND, HAIR, SKIN = (180, 40, 40), (60, 50, 40), (220, 180, 150)


def portrait() -> tuple[np.ndarray, np.ndarray]:
    """Return picture and person: a head with dark hair before a rough red wall."""
    x, y = np.indices((SIDE, SIDE))[::-1] - CENTRE[:, None, None]
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(size=(SIDE, SIDE, 1)), (0, 0), 2)
    picture = np.float32(BACKGROUND) + 8.0 * (noise / noise.std())[..., None]
    picture[np.hypot(x, y) < 80], picture[np.hypot(x, y) < 50] = HAIR, SKIN
    return picture.clip(0, 255).astype(np.uint8), (np.hypot(x, y) < 80).astype(np.float32)


def mask_of(person: np.ndarray) -> np.ndarray:
    return (person > 0.15).astype(np.uint8) * np.uint8(255)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_wide_part_of_the_wall_is_removed_and_the_head_stays(share):
    picture, person = portrait()
    head = person > 0
    person[200:, 200:] = np.maximum(person[200:, 200:], share)
    kept = without_background(picture, mask_of(person), person, PLACE) > 0
    assert kept[head].mean() > 0.995
    wall = np.zeros_like(head)
    wall[200:, 200:] = True
    away = cv2.distanceTransform((~head).astype(np.uint8), cv2.DIST_L2, 5) > 0.1 * HEIGHT
    assert kept[wall & away].mean() < 0.02


def test_hair_of_another_colour_edges_and_certain_parts_are_not_removed():
    picture, person = portrait()
    x, y = np.indices((SIDE, SIDE))[::-1] - CENTRE[:, None, None]
    loose = (np.abs(y) < 30) & (x > 70) & (x < 150)
    changed = picture.copy()
    changed[loose] = HAIR
    fringe = (np.hypot(x, y) >= 80) & (np.hypot(x, y) < 86)
    certain = (np.abs(x) < 40) & (y > 75)
    for image, part, share in ((changed, loose, 0.5), (picture, fringe, 0.5), (picture, certain, 0.95)):
        whole = np.where(part, np.maximum(person, share), person).astype(np.float32)
        mask = mask_of(whole)
        np.testing.assert_array_equal(without_background(image, mask, whole, PLACE), mask)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_pictures_without_background_or_person_keep_their_mask(share):
    picture, person = portrait()
    mask = mask_of(np.full_like(person, share))
    np.testing.assert_array_equal(without_background(picture, mask, np.full_like(person, share), PLACE), mask)
