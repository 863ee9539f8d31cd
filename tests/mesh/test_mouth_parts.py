"""The interior of the mouth of a mesh: darker than the lips around it, with teeth that end in the dark."""

from dataclasses import replace

import numpy as np
import pytest

from sadtalker_ext.mesh.face_mesh import build_face_mesh
from sadtalker_ext.mesh.targets import TARGET_NAMES
from sadtalker_ext.mesh.topology import LOWER_LIP


def levels(face_mesh, vertices):
    """Mean level (N,) of the texture at vertices."""
    height, width = face_mesh.texture.shape[:2]
    at = np.rint(face_mesh.uv[vertices] * [width, height] - 0.5).astype(int)
    return face_mesh.texture[at[:, 1], at[:, 0]].mean(axis=1)


def test_interior_is_darker_than_the_lips(face_mesh):
    """Otherwise a viewer, and a tracker of the lips, takes the tongue for the lower lip."""
    lip = np.median(levels(face_mesh, list(LOWER_LIP[1][3:-3])))
    assert levels(face_mesh, face_mesh.parts["tongue"]).max() < 0.7 * lip
    assert levels(face_mesh, face_mesh.parts["mouth"]).max() < 0.5 * lip


@pytest.mark.parametrize("name", ["teeth_upper", "teeth_lower"])
def test_teeth_end_in_the_dark(face_mesh, name):
    """A row of teeth has no edge at its sides: there it has the colour of the cavity behind it."""
    row = face_mesh.parts[name]
    across = np.abs(face_mesh.positions[row, 0] - np.median(face_mesh.positions[row, 0]))
    light = levels(face_mesh, row)
    throat = levels(face_mesh, face_mesh.parts["mouth"]).min()
    assert light[across > 0.99 * across.max()].max() < throat + 10.0
    assert light[across < 0.2 * across.max()].max() > throat + 40.0


def test_upper_teeth_appear_with_the_jaw_unless_the_portrait_shows_them(renderer, landmarks, face_mesh):
    """As in the renderer of the portrait; teeth that a portrait shows have their length already."""

    def lowered(mesh):
        """Lowering of the upper teeth at jaw_open = 1, in metres."""
        row = mesh.parts["teeth_upper"]
        return -mesh.targets[TARGET_NAMES.index("jaw_open"), row, 1]

    assert renderer.rig.mouth.visible_teeth == 1.0
    assert not lowered(face_mesh).any()
    hidden = replace(renderer.rig, mouth=replace(renderer.rig.mouth, visible_teeth=0.0))
    moved = lowered(build_face_mesh(hidden, landmarks, None))
    assert np.ptp(moved) < 1e-6
    assert 0.001 < moved.mean() < 0.0034  # at most what parted lips at rest show (Vig and Brundo 1978)
