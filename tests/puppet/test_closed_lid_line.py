"""The line along which closed lids meet has no steps: it is the same as in a frame of four times the size, reduced."""

from __future__ import annotations

import cv2
import numpy as np
from puppet_portraits import STILL, mesh_of, picture_of, shape

from sadtalker_ext.puppet.renderer import PortraitRenderer

FACTOR = 4
LIDS_MEET = 0.82
BLINK = shape(blink_left=1.0, blink_right=1.0)


def test_closed_lids_meet_without_steps():
    picture, mesh = picture_of("astronaut"), mesh_of("astronaut")
    large = cv2.resize(picture, None, fx=FACTOR, fy=FACTOR, interpolation=cv2.INTER_CUBIC)
    large_mesh = (mesh + np.float32([0.5, 0.5, 0.0])) * FACTOR - np.float32([0.5, 0.5, 0.0])
    renderer = PortraitRenderer(picture, mesh)
    closed = renderer.render_frame(BLINK, STILL, STILL).astype(float)
    exact = PortraitRenderer(large, large_mesh).render_frame(BLINK, STILL, STILL)
    error = np.abs(closed - cv2.resize(exact, picture.shape[1::-1], interpolation=cv2.INTER_AREA))
    columns, rows = np.meshgrid(np.arange(picture.shape[1]), np.arange(picture.shape[0]))
    errors = []
    for eye in (renderer.rig.face.left_eye, renderer.rig.face.right_eye):
        t, v = eye.axes.local(np.stack([columns, rows], axis=-1).astype(float))
        line = eye.upper(t) + LIDS_MEET * (eye.lower(t) - eye.upper(t))
        errors.append(error[(np.abs(t) < 0.8 * eye.half_px) & (np.abs(v - line) < 2.5)].mean())
    assert np.mean(errors) < 7.2
