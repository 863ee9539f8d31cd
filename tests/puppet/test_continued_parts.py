"""Wide brims belong to the mask of a person; things behind the person do not, also in the colour of the hair."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sadtalker_ext.puppet.backdrop import grow_mask
from sadtalker_ext.puppet.continued_parts import FacePlace, add_continued_parts

FACE = FacePlace(np.array([135.0, 225.0]), np.array([0.0, 1.0]), 100.0)
PERSON = (slice(90, 240), slice(90, 180))
HAIR = (60, 42, 34)


def scene(behind=lambda picture: None) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture (240, 270, 3) of a person with textured hair before a background, and the mask of the person."""
    rows, columns = np.mgrid[:240, :270]
    levels = np.stack([140 + 0.2 * columns, 150 - 0.1 * rows, 160 + 0.1 * rows], axis=-1)
    picture = np.clip(levels + np.random.default_rng(0).normal(0.0, 2.0, (240, 270, 1)), 0, 255).astype(np.uint8)
    behind(picture)
    mask = np.zeros((240, 270), np.uint8)
    mask[PERSON] = 255
    strands = 14.0 * np.sin(columns[PERSON] * 0.9)[..., None]
    picture[PERSON] = np.clip(np.array(HAIR) + strands, 0, 255)
    picture[130:220, 105:165] = (200, 150, 120)
    return picture, mask


@pytest.mark.parametrize("colour", [(110, 70, 40), (30, 25, 40), (230, 210, 160)])
@pytest.mark.parametrize("tilt_deg", [-12, 0, 9])
def test_both_ends_of_a_wide_brim_are_added(colour: tuple[int, int, int], tilt_deg: int):
    picture, mask = scene()
    before = picture.copy()
    cv2.ellipse(picture, (135, 112), (92, 12), tilt_deg, 0, 360, colour, -1)
    changed = np.abs(picture.astype(int) - before).max(-1) > 12
    attached = add_continued_parts(picture, mask, mask, FACE)
    assert (attached[changed] > 0).mean() > 0.99
    around = grow_mask(np.maximum(changed.astype(np.uint8) * 255, mask), 6.0)
    assert not attached[around == 0].any()


def frame(picture):
    cv2.rectangle(picture, (45, 40), (225, 130), HAIR, 6)


def flag(picture):
    picture[100:150, 150:225] = (190, 30, 40)


def leaves(picture):
    rng = np.random.default_rng(1)
    for x, y, angle in zip(rng.uniform(60, 95, 40), rng.uniform(80, 160, 40), rng.uniform(0, 180, 40), strict=True):
        cv2.ellipse(picture, (int(x), int(y)), (9, 3), angle, 0, 360, (40, 90, 40), -1)


def chair(picture):
    cv2.ellipse(picture, (135, 200), (100, 80), 0, 180, 360, HAIR, -1)
    picture[200:, 35:235] = HAIR


def wall(picture):
    picture[:, 180:] = HAIR


def lamp(picture):
    cv2.circle(picture, (195, 120), 22, (250, 240, 200), -1)


@pytest.mark.parametrize("behind", [frame, flag, leaves, chair, wall, lamp, lambda picture: None])
def test_things_behind_the_person_stay(behind):
    picture, mask = scene(behind)
    np.testing.assert_array_equal(add_continued_parts(picture, mask, mask, FACE), mask)


def test_masks_without_an_edge_are_kept():
    picture, mask = scene()
    for filled in (np.zeros_like(mask), np.full_like(mask, 255)):
        np.testing.assert_array_equal(add_continued_parts(picture, filled, filled, FACE), filled)
