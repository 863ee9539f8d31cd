"""Covers in front of a mouth, drawn over a photograph: mask, hand, microphone, cup."""

import cv2
import numpy as np

MASK = (6, 188, 118, 123, 137, 58, 172, 150, 176, 152, 400, 379, 397, 288, 366, 352, 347, 412)
"""Points of the outline of a mask: bridge of the nose, cheeks, jaw."""
SKIN = (50, 280, 101, 330, 151)
MOUTH = (13, 14)
EDGE_FRACTION = 0.004
"""Blur of the edge of a cover, in face heights."""


def add_mask(picture, face, colour=(150, 190, 215), folds=0.06):
    """Return the picture with a mask from the bridge of the nose to the chin."""
    points = face.mesh[list(MASK), :2]
    middle = points.mean(axis=0)
    cloth = _fill(picture, middle + (points - middle) * 1.05)
    return _paste(picture, cloth, _cloth(picture, face, colour, folds), face)


def add_hand(picture, face, fingers=4):
    """Return the picture with the fingers of a hand, in the colour of the person's skin, across the mouth."""
    height = face.box.height
    skin = np.mean([_colour(picture, face.mesh[i, :2], height) for i in SKIN], axis=0)
    drawn = picture
    x, y = face.mesh[list(MOUTH), :2].mean(axis=0)
    thick = 0.115 * height
    rows = np.arange(picture.shape[0], dtype=np.float32)[:, None, None]
    for finger in range(fingers):
        middle = y + (finger - (fingers - 1) / 2) * 0.98 * thick
        tip_x = x + (0.3 - 0.03 * finger) * height
        line = np.array([[x - 0.7 * height, middle + 0.25 * height], [tip_x, middle]])
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.line(mask, *np.rint(line).astype(int), 255, max(1, round(thick)), cv2.LINE_AA)
        across = np.clip(cv2.distanceTransform(mask, cv2.DIST_L2, 3)[..., None] / (thick / 2), 0, 1)
        shade = skin * (0.62 + 0.4 * np.sqrt(across)) + 0 * rows
        drawn = _paste(drawn, mask / 255, shade + _grain(picture, 3.0), face)
    return drawn


def add_microphone(picture, face, size=0.2, shift=(0.0, 0.02)):
    """Return the picture with a round microphone and its handle. size, shift: radius and place in face heights."""
    height = face.box.height
    centre = face.mesh[list(MOUTH), :2].mean(axis=0) + np.array(shift) * height
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    away = np.hypot(x - centre[0], y - centre[1]) / (size * height)
    step = max(2.0, 0.025 * height)
    grid = 12 * (np.cos(2 * np.pi * (x + y) / step) * np.cos(2 * np.pi * (x - y) / step))
    light = np.hypot(x - centre[0] + 0.07 * height, y - centre[1] + 0.07 * height) / (size * height)
    ball = 45 + 70 * np.clip(1 - light, 0, 1) + grid
    handle = np.array([centre, centre + np.array([0.15, 1.2]) * height])
    stick = np.zeros(picture.shape[:2], np.uint8)
    cv2.line(stick, *np.rint(handle).astype(int), 255, max(1, round(0.12 * height)), cv2.LINE_AA)
    drawn = _paste(picture, stick / 255, np.full(picture.shape, 38.0), face)
    return _paste(drawn, (away < 1).astype(np.float32), np.repeat(ball[..., None], 3, axis=2), face)


def add_cup(picture, face, colour=(225, 222, 214)):
    """Return the picture with a cup at the mouth, up to the nose."""
    height = face.box.height
    x, y = face.mesh[list(MOUTH), :2].mean(axis=0)
    top, bottom = y - 0.1 * height, y + 0.42 * height
    across = np.array([-0.27, 0.27, 0.19, -0.19]) * height
    corners = np.stack([x + across, (top, top, bottom, bottom)], axis=1)
    mask = _fill(picture, corners)
    cv2.ellipse(mask, (round(x), round(top)), (round(0.27 * height), round(0.05 * height)), 0, 0, 360, 1.0, cv2.FILLED)
    columns = np.arange(picture.shape[1], dtype=np.float32)[None, :, None]
    round_shade = 1 - 0.45 * np.clip((columns - x) / (0.3 * height), -1, 1) ** 2
    return _paste(picture, mask, np.array(colour) * round_shade + _grain(picture, 1.5), face)


def _cloth(picture, face, colour, folds):
    """Return the pixels of a cloth with folds and grain."""
    height = face.box.height
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    x, y = (x - face.box.x) / height, (y - face.box.y) / height
    wave = np.sin(40 * y + 3 * np.sin(4 * x)) + 0.5 * np.sin(23 * y + 9 * x)
    shade = 1 + folds * wave - 0.5 * (x - 0.4) ** 2
    return np.array(colour, np.float32) * shade[..., None] + _grain(picture, 3.0)


def _grain(picture, strength):
    noise = np.random.default_rng(5).normal(0, strength, picture.shape[:2]).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 0.8)[..., None]


def _fill(picture, corners):
    mask = np.zeros(picture.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1.0)
    return mask


def _colour(picture, point, height):
    """Return the median colour around a point."""
    radius = max(1, round(0.03 * height))
    x, y = np.clip(np.rint(point).astype(int), radius, np.array(picture.shape[1::-1]) - radius - 1)
    return np.median(picture[y - radius : y + radius + 1, x - radius : x + radius + 1], axis=(0, 1))


def _paste(picture, mask, pixels, face):
    soft = cv2.GaussianBlur(np.asarray(mask, np.float32), (0, 0), max(0.5, EDGE_FRACTION * face.box.height))[..., None]
    return np.clip(picture * (1 - soft) + pixels * soft, 0, 255).astype(np.uint8)
