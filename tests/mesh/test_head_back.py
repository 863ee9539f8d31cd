"""The back of the head: the colours of its texture, and its join with the front."""

import numpy as np
import pytest

from sadtalker_ext.mesh.head_back import BackView, back_tile
from sadtalker_ext.mesh.parts import Tile

HAIR, FACE, NECK = (40, 60, 200), (220, 60, 40), (60, 190, 60)
SIDE = 400
RAYS = 72


@pytest.fixture(scope="module")
def view():
    angles = np.linspace(-np.pi, np.pi, RAYS, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    oval, outline = (SIDE / 2 + radius * directions for radius in (90.0, 150.0))
    return BackView(angles, directions[:, 1], oval, outline, oval + 0.93 * (outline - oval))


@pytest.fixture(scope="module")
def tile(view):
    """Of a portrait with hair above, a face in the middle and at the sides, and a neck below."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    distance = np.hypot(x, y)
    picture = np.full((SIDE, SIDE, 3), FACE, np.uint8)
    picture[(y < -0.15 * distance) & (distance > 100)] = HAIR
    picture[(y > 0.5 * distance) & (distance > 100)] = NECK
    return back_tile(view, Tile(picture))


def colour_at(tile, view, depth, angle_deg):
    index = np.argmin(np.abs(view.angles - np.deg2rad(angle_deg)))
    column, row = np.rint(view.texels(depth)[index]).astype(int)
    return tile.image[row, column].astype(float)


def test_the_back_has_the_colour_of_the_hair_and_a_neck_below(tile, view):
    for depth, angle_deg in ((1.0, 0), (0.5, -90), (0.5, 0), (0.5, -180), (0.9, 90)):
        np.testing.assert_allclose(colour_at(tile, view, depth, angle_deg), HAIR, atol=6)
    np.testing.assert_allclose(colour_at(tile, view, 0.25, 90), NECK, atol=12)


def test_the_border_shows_what_the_portrait_shows_at_the_outline(tile, view):
    for angle_deg, colour in ((-90, HAIR), (5, FACE), (175, FACE), (90, NECK)):
        np.testing.assert_allclose(colour_at(tile, view, 0.0, angle_deg), colour, atol=6)


def test_strands_of_the_hair_go_on_but_not_its_light(view):
    """Fine structure is kept, weakly; that one half of the hair is lighter is not."""
    light = np.where(np.arange(SIDE) < SIDE / 2, 30.0, -30.0)[None, :, None]
    noise = 40.0 * np.random.default_rng(0).standard_normal((SIDE, SIDE, 1))
    hair = back_tile(view, Tile(np.clip(120.0 + light + noise.repeat(3, axis=2), 0, 255).astype(np.uint8)))
    middle = hair.image[75:125, 40:160].astype(float)
    assert 2.0 < middle.std() < 12.0
    assert np.ptp(middle.mean(axis=(0, 2)).reshape(4, -1).mean(axis=1)) < 8.0


def test_front_and_back_join_without_an_edge(face_mesh):
    front, back = face_mesh.parts["head"], face_mesh.parts["back"]
    ends, begins = np.arange(front.stop - RAYS, front.stop), np.arange(back.start, back.start + RAYS)
    assert np.array_equal(face_mesh.positions[ends], face_mesh.positions[begins])
    assert np.allclose(face_mesh.normals[ends], face_mesh.normals[begins], atol=1e-6)
    assert not face_mesh.targets[:, back].any()
    assert not face_mesh.targets[:, ends].any()
    size = np.array([face_mesh.texture.shape[1], face_mesh.texture.shape[0]])
    places = [np.rint(face_mesh.uv[rows] * size - 0.5).astype(int) for rows in (ends, begins)]
    colours = [face_mesh.texture[place[:, 1], place[:, 0]].astype(float) for place in places]
    assert np.abs(colours[0] - colours[1]).mean() < 8.0
