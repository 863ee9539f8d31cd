"""Our networks give the numbers that MediaPipe 0.10.9 gives for the astronaut; mediapipe_oracle.py records them.

The pictures have the size that the networks read, so that no resampling is involved.
"""

import numpy as np
import pytest
from mediapipe_oracle import DETECTION_FLOORS, NUMBERS, block_means
from portrait_variants import face_crops, scenes

from sadtalker_ext.faces import networks
from sadtalker_ext.faces.networks import face_networks
from sadtalker_ext.models.face_mesh_regions import LEFT_IRIS, LIPS, RIGHT_IRIS

MEAN_PX = 0.02
"""Bar for the mean distance of landmarks in a crop of 192 pixels; recorded coordinates are rounded to 0.01."""
SIDES = {"short": 128, "full": 192}
MASK_PX = 256
POINTS = {"all": slice(0, 478), "lips": list(LIPS), "irises": [*LEFT_IRIS, *RIGHT_IRIS]}
SCENES = ("whole", "mirrored", "head", "turned", "small", "two", "empty")


@pytest.fixture(scope="module")
def numbers():
    with np.load(NUMBERS) as tables:
        return dict(tables)


@pytest.fixture(scope="module")
def crops(astronaut):
    return face_crops(astronaut)


@pytest.fixture(scope="module")
def measured(crops):
    """Meshes and presence by name of the crop."""
    meshes, presence = face_networks().landmarks(list(crops.values()))
    return dict(zip(crops, zip(meshes, presence, strict=True), strict=True))


def test_every_recorded_number_is_compared(numbers, crops):
    names = {f"mesh {name}" for name in crops}
    names |= {f"{kind} {name}" for kind in ("short", "full", "mask", "blocks") for name in SCENES}
    assert set(numbers) == names
    assert len(crops) == 13


@pytest.mark.parametrize("part", POINTS)
def test_landmarks(numbers, measured, part):
    for name, (mesh, _) in measured.items():
        expected = numbers[f"mesh {name}"][:478] / 100
        difference = (mesh - expected)[POINTS[part]]
        assert np.linalg.norm(difference[:, :2], axis=1).mean() < MEAN_PX, name
        assert np.abs(difference).max() < 2 * MEAN_PX, name


def test_presence_of_a_face(numbers, measured):
    expected = {name: numbers[f"mesh {name}"][478, 0] / 100 for name in measured}
    assert expected["plain"] > 20
    assert expected["background"] < -10
    for name, (_, presence) in measured.items():
        assert presence == pytest.approx(expected[name], abs=0.01), name


@pytest.mark.parametrize("reach", SIDES)
def test_detections(numbers, astronaut, monkeypatch, reach):
    monkeypatch.setattr(networks, "DETECTION_FLOOR", DETECTION_FLOORS[reach])
    pictures = scenes(astronaut, SIDES[reach])
    counts = []
    for name, found in zip(pictures, face_networks().detect(list(pictures.values()), reach), strict=True):
        expected = numbers[f"{reach} {name}"]
        np.testing.assert_allclose(found, expected, atol=2e-4, err_msg=name)
        counts.append(len(expected))
    assert counts == [1, 1, 1, 1, int(reach == "full"), 2, 0], "only full range finds the small face"


def test_person_mask(numbers, astronaut):
    pictures = scenes(astronaut, MASK_PX)
    for name, mask in zip(pictures, face_networks().segment(list(pictures.values())), strict=True):
        expected = np.unpackbits(numbers[f"mask {name}"]).reshape(MASK_PX, MASK_PX) > 0
        both, either = (expected & (mask > 0.5)).sum(), (expected | (mask > 0.5)).sum()
        assert both >= 0.999 * either > 0, name
        np.testing.assert_allclose(block_means(mask), numbers[f"blocks {name}"], atol=1e-3, err_msg=name)
