"""Pasting: no seam, no change outside the box, matched colours, speed, and agreement with kornia."""

import time

import cv2
import kornia
import numpy as np
import pytest
import torch

from sadtalker_ext.geometry.crop import Box
from sadtalker_ext.geometry.paste import Paster, feather_mask, match_colours, match_moved_colours, paste_seamless

BOX = Box(250, 240, 750, 760)


def oval(x=500.0, y=500.0):
    angle = np.linspace(0, 2 * np.pi, 36)
    return np.stack([x + 150 * np.cos(angle), y + 190 * np.sin(angle)], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def picture():
    noise = np.random.default_rng(0).random((1024, 1024, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 25)
    return (255 * (soft - soft.min()) / np.ptp(soft)).astype(np.uint8)


def square_of(picture, size=512):
    return cv2.resize(picture[BOX.top : BOX.bottom, BOX.left : BOX.right], (size, size), interpolation=cv2.INTER_AREA)


def test_mask_is_one_on_the_face_and_fades_at_the_edges():
    mask = feather_mask(BOX, (1024, 1024), oval())
    assert mask.shape == (BOX.height, BOX.width)
    assert mask[260, 250] == 1
    assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) < 0.05
    assert max(np.abs(np.diff(mask, axis=0)).max(), np.abs(np.diff(mask, axis=1)).max()) < 0.06


def test_mask_does_not_fade_at_the_border_of_the_picture():
    mask = feather_mask(Box(0, 0, 500, 520), (500, 1024), oval(250, 260))
    assert mask[0].min() == 1
    assert mask[:400, 0].min() == 1
    assert mask[-1].max() < 0.05


def test_pasting_the_original_reproduces_the_picture(picture):
    out = Paster(picture, BOX, feather_mask(BOX, (1024, 1024), oval())).paste(square_of(picture))
    assert np.abs(out.astype(int) - picture).max() <= 3


def test_pixels_outside_the_box_and_the_input_do_not_change(picture):
    before = picture.copy()
    out = Paster(picture, BOX, feather_mask(BOX, (1024, 1024), oval())).paste(np.zeros((256, 256, 3), np.uint8))
    outside = np.ones((1024, 1024), bool)
    outside[BOX.top : BOX.bottom, BOX.left : BOX.right] = False
    assert np.array_equal(out[outside], picture[outside])
    assert np.array_equal(picture, before)
    assert out[500, 500].max() == 0


def test_colours_match_and_no_seam_is_visible(picture):
    square = square_of(picture)
    tinted = np.clip(square.astype(np.float32) * 0.9 + [12, -8, 5], 0, 255).astype(np.uint8)
    weights = np.ones(square.shape[:2], np.float32)
    table = match_colours(tinted, square, weights)
    matched = cv2.LUT(tinted, table.reshape(1, 256, 3))
    assert np.abs(matched.astype(int) - square).mean() < 2
    out = Paster(picture, BOX, feather_mask(BOX, (1024, 1024), oval())).paste(tinted, table)
    steps = np.abs(np.diff(out.astype(int), axis=1)).max()
    assert steps <= np.abs(np.diff(picture.astype(int), axis=1)).max() + 2


def test_an_open_mouth_does_not_change_the_matched_colours(picture):
    square = square_of(picture)
    tinted = np.clip(square.astype(np.float32) * 0.9 + [12, -8, 5], 0, 255).astype(np.uint8)
    speaking, weights = tinted.copy(), np.ones(square.shape[:2], np.float32)
    speaking[340:420, 180:330] = (60, 10, 10)
    rest = match_colours(tinted, square, weights).astype(int)
    used = slice(int(tinted.min()), int(tinted.max()) + 1)
    assert np.abs(match_colours(speaking, square, weights) - rest)[used].max() > 4
    assert np.abs(match_moved_colours(speaking, square, weights) - rest)[used].max() <= 1
    assert np.abs(match_moved_colours(tinted, square, weights) - rest)[used].max() <= 1


def test_correction_of_an_unrelated_rendering_is_monotonic_and_limited(picture):
    table = match_colours(np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8), np.ones((64, 64)))
    assert np.all(np.diff(table[:, 0].astype(int), axis=0) >= 0)
    assert np.abs(table[:, 0, 0].astype(int) - np.arange(256)).max() <= 60


def test_seamless_paste_puts_the_square_in_the_same_place(picture):
    out = paste_seamless(picture, BOX, square_of(picture))
    assert out.shape == picture.shape
    assert np.abs(out.astype(int) - picture).mean() < 1


def test_pasting_takes_a_quarter_of_blending_the_whole_picture(picture):
    """In turns and on one thread, so that machine and load cancel out. The plain way blends all pixels in float."""
    weights = np.random.default_rng(1).random((1024, 1024, 1), np.float32)
    paster = Paster(picture, BOX, feather_mask(BOX, (1024, 1024), oval()))
    square, threads = square_of(picture), cv2.getNumThreads()
    table = match_colours(square, square, np.ones((512, 512), np.float32))
    ways = {
        "paste": lambda: paster.paste(square, table),
        "blend": lambda: (picture.astype(np.float32) * weights + picture * (1 - weights)).round().astype(np.uint8),
    }
    spent_s = {name: [] for name in ways}
    cv2.setNumThreads(1)
    try:
        for _ in range(25):
            for name, way in ways.items():
                begun_s = time.process_time()
                way()
                spent_s[name].append(time.process_time() - begun_s)
    finally:
        cv2.setNumThreads(threads)
    assert min(spent_s["paste"]) < 0.25 * min(spent_s["blend"])


def test_paste_matches_kornia(picture):
    square = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    mask = feather_mask(BOX, (1024, 1024), oval())
    resize = kornia.geometry.transform.resize
    new = torch.from_numpy(square).permute(2, 0, 1)[None].float()
    new = resize(new, (BOX.height, BOX.width), interpolation="bilinear", align_corners=False)
    new = new[0].permute(1, 2, 0).numpy()
    old = picture[BOX.top : BOX.bottom, BOX.left : BOX.right]
    expected = picture.astype(np.float32)
    expected[BOX.top : BOX.bottom, BOX.left : BOX.right] += mask[..., None] * (new - old)
    assert np.abs(Paster(picture, BOX, mask).paste(square) - expected).max() <= 1.5
