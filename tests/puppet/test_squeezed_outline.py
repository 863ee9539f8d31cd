"""The far outline of a turned head against a picture of three times the size: no staircase, no dotted line."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from puppet_portraits import STILL, mesh_of, shape

from sadtalker_ext.puppet.renderer import PortraitRenderer

SIDE_PX = 160
FINE = 3


def head(scale: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return picture, mesh and person: skin with a dark rim before a light background, at ``scale`` times the size."""
    mesh = mesh_of("astronaut").copy()
    middle, height = mesh[:468, :2].mean(axis=0), np.ptp(mesh[:468, 1])
    mesh[:, :2] -= middle
    mesh *= 0.5
    height *= 0.5
    rows, columns = (np.mgrid[: SIDE_PX * scale, : SIDE_PX * scale] + 0.5) / scale - SIDE_PX / 2
    distance = np.hypot(columns / (0.44 * height), (rows + 0.05 * height) / (0.62 * height))
    body = (rows > 0.5 * height) & (np.abs(columns) < 0.3 * height)
    levels = np.full((*rows.shape, 3), (210, 205, 200), np.uint8)
    levels[body], levels[distance < 1.0], levels[distance < 0.93] = (200, 160, 130), (30, 20, 15), (220, 180, 150)
    points = (mesh * scale + [SIDE_PX * scale / 2 - 0.5, SIDE_PX * scale / 2 - 0.5, 0.0]).astype(np.float32)
    return levels, points, ((distance < 1.0) | body).astype(np.float32)


@pytest.mark.parametrize("yaw_deg", [-30.0, 25.0])
def test_the_far_outline_looks_as_a_reduced_picture_of_a_larger_portrait(yaw_deg: float):
    motion = (shape(jaw_open=0.6), np.deg2rad(np.float32([0.0, yaw_deg, 0.0])), STILL)
    frame, large = (PortraitRenderer(*head(scale)).free_view().render_frame(*motion) for scale in (1, FINE))
    expected = cv2.resize(large, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    error = np.abs(frame.astype(float) - expected).max(axis=-1)
    far = slice(SIDE_PX // 2, None) if yaw_deg > 0 else slice(None, SIDE_PX // 2)
    outline = error[SIDE_PX // 2 - 10 : SIDE_PX // 2 + 30, far]
    assert np.sqrt((outline**2).mean()) < 4.6
    assert outline.max() < 75.0


@pytest.mark.parametrize("yaw_deg", [-30.0, 30.0])
def test_a_dark_line_that_the_nose_hides_is_weakened(yaw_deg: float):
    side = 640
    mesh = mesh_of("astronaut").copy()
    mesh[:, :2] -= mesh[:468, :2].mean(axis=0)
    mesh *= 300.0 / np.ptp(mesh[:468, 1])
    mesh[:, :2] += side / 2
    motion = (shape(), np.deg2rad(np.float32([0.0, yaw_deg, 0.0])), STILL)
    skin, person = np.full((side, side, 3), 200, np.uint8), np.ones((side, side), np.float32)
    head = PortraitRenderer(skin, mesh, person).free_view().rig.head
    spacing = 1.0 + head.displace(motion[1].astype(float), np.zeros(3)).slope[..., 0]
    x, y = cv2.split(head.nodes - mesh[4, :2])
    spacing = np.where(np.hypot(x, y) < 0.2 * head.height_px, spacing, 1.0)
    rows = np.flatnonzero(spacing.min(axis=1) < 0.25)
    assert len(rows) > 5
    line = head.nodes[rows, spacing[rows].argmin(axis=1)]
    cv2.polylines(skin, [np.rint(line).astype(np.int32)], isClosed=False, color=(40, 40, 40), thickness=3)
    renderer = PortraitRenderer(skin, mesh, person).free_view()
    weakened = renderer.render_frame(*motion)
    renderer.rig = replace(renderer.rig, within_face=None)
    whole = renderer.render_frame(*motion)
    middle = line[1:-1]
    moved = head.displace(motion[1].astype(float), np.zeros(3)).forward(middle[None])[0]
    darkness = []
    for frame in (weakened, whole):
        around = [frame[round(y) - 1 : round(y) + 2, round(x) - 3 : round(x) + 4].min() for x, y in moved.tolist()]
        darkness.append(200.0 - float(np.mean(around)))
    assert darkness[1] > 30.0
    assert darkness[0] < 0.7 * darkness[1]
