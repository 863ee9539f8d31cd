"""The astronaut as a rig and as a mesh, made once."""

from __future__ import annotations

import numpy as np
import pytest
from puppet_portraits import mesh_of, picture_of

from sadtalker_ext.puppet.renderer import PortraitRenderer


@pytest.fixture(scope="session")
def landmarks():
    return mesh_of("astronaut")


@pytest.fixture(scope="session")
def renderer(landmarks):
    return PortraitRenderer(picture_of("astronaut"), landmarks)


@pytest.fixture(scope="session")
def face_mesh(renderer, landmarks):
    from sadtalker_ext.faces.person_mask import segment_person
    from sadtalker_ext.geometry.landmarks import FaceBox
    from sadtalker_ext.mesh.face_mesh import build_face_mesh

    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    person = segment_person(picture_of("astronaut"), FaceBox(*low, *(high - low)))
    return build_face_mesh(renderer.rig, landmarks, person)


@pytest.fixture(scope="session")
def draw(face_mesh):
    """Function that renders parts by z-buffer at 320 pixels: the part shown at each pixel, -1 for none."""
    names = list(face_mesh.parts)
    part_of = np.empty(len(face_mesh.positions), int)
    for index, name in enumerate(names):
        part_of[face_mesh.parts[name]] = index

    def render(weights, pitch_deg=0.0, yaw_deg=0.0, size=320):
        pitch, yaw = np.deg2rad([pitch_deg, yaw_deg])
        about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
        about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
        turned = face_mesh.morphed(weights) @ (np.array(about_x) @ about_y).T
        points = np.stack([turned[:, 0], 0.07 - turned[:, 1], turned[:, 2]], axis=1) * (size / 0.4)
        points[:, :2] += size / 2.0
        shown, _ = paint(points, face_mesh.triangles, size)
        return np.where(shown >= 0, part_of[face_mesh.triangles[shown, 0]], -1), names, points

    return render


def paint(points, triangles, size):
    """Z-buffer of counterclockwise triangles, x right, y down, larger z nearer: index and depth at each pixel.

    Written for the tests, without the rasteriser of the package: every triangle is tested at every pixel of its box.
    """
    shown, nearest = np.full((size, size), -1), np.full((size, size), -np.inf)
    for index, (a, b, c) in enumerate(points[triangles]):
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area >= 0.0:
            continue
        low = np.maximum(np.floor(np.min([a, b, c], axis=0)[:2]).astype(int), 0)
        high = np.minimum(np.ceil(np.max([a, b, c], axis=0)[:2]).astype(int) + 1, size)
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]]
        at_b = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
        at_c = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        depth = a[2] + at_b * (b[2] - a[2]) + at_c * (c[2] - a[2])
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        inside = (at_b >= -1e-9) & (at_c >= -1e-9) & (at_b + at_c <= 1 + 1e-9) & (depth > nearest[window])
        nearest[window][inside], shown[window][inside] = depth[inside], index
    return shown, nearest
