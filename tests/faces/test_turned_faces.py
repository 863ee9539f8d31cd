"""Faces in any direction are found with the right direction; animals and objects are not faces."""

import cv2
import numpy as np
import pytest
import skimage.data

from sadtalker_ext.errors import FaceError
from sadtalker_ext.faces import mesh_provider
from sadtalker_ext.faces.find import choose_face, find_faces
from sadtalker_ext.geometry.landmarks import FaceBox, overlap
from sadtalker_ext.geometry.quarter_turns import turn_landmarks, turn_picture, upright_turns

CHIN, FOREHEAD = 152, 10


@pytest.fixture(scope="module")
def face(astronaut):
    (found,) = find_faces(astronaut)
    return found


@pytest.mark.parametrize("angle_deg", range(0, 360, 45))
def test_turned_picture_gives_the_turned_landmarks(astronaut, face, angle_deg):
    matrix = cv2.getRotationMatrix2D((256, 256), -angle_deg, 1.0)
    matrix[:, 2] += 112
    (found,) = find_faces(cv2.warpAffine(astronaut, matrix, (736, 736), borderMode=cv2.BORDER_REPLICATE))
    expected = face.mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    height = np.linalg.norm(face.mesh[CHIN, :2] - face.mesh[FOREHEAD, :2])
    assert np.linalg.norm(found.mesh[:, :2] - expected, axis=1).mean() < 0.02 * height


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_face_in_a_box_is_found_in_any_direction(astronaut, face, turns):
    turned = np.ascontiguousarray(np.rot90(astronaut, turns))
    (whole,) = find_faces(turned)
    selection = ",".join(f"{value:.0f}" for value in whole.box)
    chosen = choose_face(turned, selection).landmarks
    assert chosen.provider == "face-mesh"
    assert upright_turns(chosen) == -turns % 4
    assert overlap(chosen.box, whole.box) > 0.85


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "coins"])
def test_animals_and_objects_are_not_faces(name):
    picture = getattr(skimage.data, name)()
    picture = np.ascontiguousarray(np.dstack([picture] * 3) if picture.ndim == 2 else picture)
    with pytest.raises(FaceError, match=r"No face was found.*x,y,width,height"):
        choose_face(picture)


def test_profile_is_refused_unless_a_box_selects_it():
    picture = np.ascontiguousarray(np.dstack([skimage.data.camera()] * 3))
    with pytest.raises(FaceError, match=r"seen from the side, turned by about \d+ degrees.*both eyes"):
        choose_face(picture)
    assert choose_face(picture, "190,120,80,80").landmarks


def test_box_on_an_animal_works():
    cat = np.ascontiguousarray(skimage.data.chelsea())
    choice = choose_face(cat, "130,40,170,180")
    assert overlap(choice.landmarks.box, FaceBox(130, 40, 170, 180)) > 0.5


@pytest.mark.parametrize("turns", range(4))
def test_measurements_of_a_turned_face_must_agree_better(astronaut, face, monkeypatch, turns):
    """Rocks and folds look a little like a face in one of the directions that are tried."""
    spreads = {"chance": 1.05 * mesh_provider.MAX_TURNED_SPREAD, "face": 0.95 * mesh_provider.MAX_TURNED_SPREAD}
    turned = turn_picture(astronaut, turns)
    expected = turn_landmarks(face, astronaut.shape[:2], turns)
    found = {}
    for name, spread in spreads.items():
        view = mesh_provider.RefinedMesh(expected.mesh, 20.0, spread, 0.004)
        monkeypatch.setattr(mesh_provider, "refine", lambda *_, view=view: view)
        found[name] = len(mesh_provider._find(turned, mesh_provider.face_networks(), 0))
    assert found == {"chance": int(turns == 0), "face": 1}
