"""Our networks agree with MediaPipe itself, where it is installed; it runs once, in a separate process."""

import cv2
import numpy as np
import pytest
from mediapipe_oracle import DETECTION_FLOORS, ask, package_folder
from portrait_variants import FACE_CENTRE, face_crops

from sadtalker_ext.faces import networks
from sadtalker_ext.faces.networks import FaceNetworks
from sadtalker_ext.models.face_mesh_regions import LEFT_IRIS, LIPS, RIGHT_IRIS

pytestmark = pytest.mark.skipif(package_folder() is None, reason="needs mediapipe 0.10.9 to 0.10.21 with face models")

MEAN_PX = 0.005
TURNS_DEG = (0, 8, -17, 35, 120)
SIDES = {"short": 128, "full": 192}


def turned(picture, angle_deg, size, scale=1.0):
    """Return the picture rotated about the face and scaled, (height, width) = ``size``."""
    matrix = cv2.getRotationMatrix2D(FACE_CENTRE, angle_deg, scale)
    matrix[:, 2] += np.array(size[::-1]) / 2 - FACE_CENTRE
    return cv2.warpAffine(picture, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


@pytest.fixture(scope="module")
def pictures(astronaut):
    """The pictures by operation and name."""
    shown = {f"mesh {name}": crop for name, crop in face_crops(astronaut).items()}
    for index, angle in enumerate(TURNS_DEG):
        shown[f"mesh turned {angle}"] = turned(astronaut, angle, (192, 192), 1.0 + 0.1 * index)
        for reach in SIDES:
            shown[f"{reach} turned {angle}"] = turned(astronaut, angle, (384, 320 + 64 * index), 0.8 + 0.1 * index)
        shown[f"mask turned {angle}"] = turned(astronaut, angle, (256, 256), 0.6 + 0.1 * index)
    return shown


@pytest.fixture(scope="module")
def answers(pictures, tmp_path_factory):
    found = ask(pictures, tmp_path_factory.mktemp("mediapipe"))
    if found is None:
        pytest.skip("mediapipe is installed, but its face models cannot be imported")
    return found


def choose(operation, pictures):
    return {name: picture for name, picture in pictures.items() if name.split()[0] == operation}


@pytest.mark.parametrize("batch", [1, 5])
def test_landmarks_and_presence(pictures, answers, batch):
    chosen = choose("mesh", pictures)
    names, crops = list(chosen), list(chosen.values())
    models = FaceNetworks()
    for start in range(0, len(names), batch):
        found = zip(*models.landmarks(crops[start : start + batch]), strict=True)
        for name, (mesh, presence) in zip(names[start : start + batch], found, strict=True):
            expected = answers[name]
            distance = np.linalg.norm((mesh - expected[:478])[:, :2], axis=1)
            assert distance.mean() < MEAN_PX, name
            assert distance[list(LIPS)].mean() < MEAN_PX, name
            assert distance[[*LEFT_IRIS, *RIGHT_IRIS]].mean() < MEAN_PX, name
            assert np.abs(mesh - expected[:478])[:, 2].mean() < MEAN_PX, name
            assert presence == pytest.approx(expected[478, 0], abs=0.005), name


def letterbox(picture, side):
    """Return the square that MediaPipe's detectors read: centred and sampled without a filter."""
    height, width = picture.shape[:2]
    scale = max(height, width) / side
    matrix = np.array([[scale, 0, (width - side * scale) / 2], [0, scale, (height - side * scale) / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_CONSTANT)


def to_picture(rows, shape):
    """Return detections (N, 17) in fractions of the square as fractions of the picture of this shape."""
    height, width = shape[:2]
    side, size = max(height, width), np.array([width, height])
    rows = rows.copy()
    places = rows[:, 1:].reshape(len(rows), 8, 2) * side
    places[:, 0] -= (side - size) / 2
    places[:, 2:] -= (side - size) / 2
    rows[:, 1:] = (places / size).reshape(len(rows), 16)
    return rows


@pytest.mark.parametrize("reach", SIDES)
def test_detections(pictures, answers, monkeypatch, reach):
    monkeypatch.setattr(networks, "DETECTION_FLOOR", DETECTION_FLOORS[reach])
    models, seen = FaceNetworks(), 0
    for name, picture in choose(reach, pictures).items():
        (found,) = models.detect([letterbox(picture, SIDES[reach])], reach)
        np.testing.assert_allclose(to_picture(found, picture.shape), answers[name], atol=1e-4, err_msg=name)
        seen += len(found)
    assert seen >= 4


def test_person_mask(pictures, answers):
    chosen = choose("mask", pictures)
    for name, mask in zip(chosen, FaceNetworks().segment(list(chosen.values())), strict=True):
        expected = answers[name]
        assert 0.05 < (expected > 0.5).mean() < 0.95
        assert ((expected > 0.5) & (mask > 0.5)).sum() >= 0.999 * ((expected > 0.5) | (mask > 0.5)).sum(), name
        np.testing.assert_allclose(mask, expected, atol=2e-3, err_msg=name)
