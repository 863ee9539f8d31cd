"""Detection and choice of faces in a photograph and in pictures made from it."""

import math

import cv2
import numpy as np
import pytest

from sadtalker_ext.errors import FaceError
from sadtalker_ext.faces.find import PictureScale, choose_face, face_in_box, find_faces, track_faces
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks, outside_share, oval_box, overlap, subset_68
from sadtalker_ext.geometry.measures import eye_opening, head_pose, mouth_opening, mouth_width

# Measured by eye in the photograph: hairline, chin and sides of the face; corners of eyes and mouth.
ASTRONAUT_BOX = FaceBox(180.0, 68.0, 92.0, 111.0)
ASTRONAUT_POINTS = {33: (192.6, 100.1), 263: (259.2, 104.3), 61: (204.3, 140.0), 291: (244.8, 140.7)}


@pytest.fixture(scope="module")
def face(astronaut):
    (found,) = find_faces(astronaut)
    return found


def noise(height=300, width=400):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def moved(landmarks, scale, shift):
    mesh = landmarks.mesh * scale
    mesh[:, :2] += shift
    return mesh


def distance_share(mesh, other):
    """Return the mean distance of two meshes as a fraction of the face width."""
    return float(np.linalg.norm(mesh[:, :2] - other[:, :2], axis=1).mean()) / oval_box(other).width


def test_photograph_has_one_face_at_the_known_place(face):
    assert overlap(face.box, ASTRONAUT_BOX) > 0.85
    assert face.mesh.shape == (478, 3)
    assert face.mesh.dtype == np.float32
    assert face.provider == "face-mesh"
    for point, place in ASTRONAUT_POINTS.items():
        assert math.dist(face.mesh[point, :2], place) < 4.0


def test_nose_is_closer_than_ears_by_a_plausible_depth(face):
    depth = face.mesh[[127, 356], 2].mean() - face.mesh[1, 2]
    assert 0.35 * face.box.height < depth < 0.9 * face.box.height


def test_the_68_points_follow_the_ibug_order(face):
    points = subset_68(face.mesh)
    assert np.all(np.diff(points[2:15, 0]) > 0), "the jaw runs from the picture's left to its right"
    assert np.all(np.diff(points[:9, 1]) > 0), "down to the chin"
    assert np.all(np.diff(points[8:17, 1]) < 0), "and up again"
    assert np.all(np.diff(points[17:27, 0]) > 0), "brows run left to right"
    assert np.all(np.diff(points[27:31, 1]) > 0), "the bridge of the nose runs down"
    assert np.all(np.diff(points[31:36, 0]) > 0), "below the nostrils left to right"
    assert np.all(points[36:42, 0] < points[27, 0]), "36 to 41 is the eye at the picture's left"
    assert np.all(points[42:48, 0] > points[27, 0])
    for corner, upper, other, lower in (([36], [37, 38], [39], [40, 41]), ([42], [43, 44], [45], [46, 47])):
        assert points[corner, 0] < points[upper, 0].min()
        assert points[upper, 0].max() < points[other, 0]
        assert points[upper, 1].max() < points[lower, 1].min()
        assert np.all(np.diff(points[lower, 0]) < 0)
    assert np.all(np.diff(points[48:55, 0]) > 0), "the upper lip runs left to right"
    assert np.all(np.diff(points[54:60, 0]) < 0), "the lower one back"
    assert np.all(np.diff(points[60:65, 0]) > 0)
    assert np.all(np.diff(points[64:68, 0]) < 0)
    assert points[51, 1] < points[62, 1] < points[66, 1] < points[57, 1]


def test_mirrored_picture_gives_the_mirrored_face(astronaut, face):
    from sadtalker_ext.geometry.mean_face import mirror_points

    (mirrored,) = find_faces(np.ascontiguousarray(astronaut[:, ::-1]))
    back = mirror_points(mirrored.mesh) * [-1, 1, 1] + [astronaut.shape[1], 0, 0]
    assert distance_share(back, face.mesh) < 0.005


def test_rotated_picture_is_measured_as_roll(astronaut, face):
    centre = (face.box.x + face.box.width / 2, face.box.y + face.box.height / 2)
    turn = cv2.getRotationMatrix2D(centre, -10.0, 1.0)  # OpenCV rotates counterclockwise
    (leaning,) = find_faces(cv2.warpAffine(astronaut, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE))
    pitch, yaw, roll = np.rad2deg(head_pose(leaning, face))
    assert roll == pytest.approx(10.0, abs=1.0)
    assert abs(pitch) < 2.0
    assert abs(yaw) < 2.0


def test_measures_of_the_smiling_photograph(face):
    assert 0.1 < mouth_opening(face) < 0.3
    assert mouth_width(face) > 0.65
    assert all(0.2 < eye_opening(face, side) < 0.45 for side in ("left", "right"))


@pytest.mark.parametrize("height_px", [28, 60])
def test_small_face_in_a_large_picture_is_found_and_agrees(astronaut, face, height_px):
    scale = height_px / face.box.height
    side = round(512 * scale)
    scale = side / 512
    x = np.linspace(40, 200, 1600, dtype=np.float32)
    canvas = np.repeat(np.repeat(x[None, :, None], 1200, axis=0), 3, axis=2).astype(np.uint8)
    canvas[700 : 700 + side, 1013 : 1013 + side] = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA)
    (small,) = find_faces(canvas)
    assert distance_share(small.mesh, moved(face, scale, (1013, 700))) < 0.03


def test_enlarged_picture_agrees(astronaut, face):
    large = cv2.resize(astronaut, (1400, 1400), interpolation=cv2.INTER_CUBIC)
    (found,) = find_faces(large)
    assert distance_share(found.mesh, moved(face, 1400 / 512, (0, 0))) < 0.006


def test_several_faces_are_numbered_from_left_to_right_with_a_note(two_faces, face):
    choice = choose_face(two_faces)
    assert [found.box.x < 308 for found in choice.faces] == [True, False]
    assert distance_share(choice.landmarks.mesh, moved(face, 1.0, (308, 0))) < 0.01
    (note,) = choice.notes
    assert "2 faces" in note
    assert "1 at " in note
    assert "2 at " in note
    assert "face 2, the largest, is used" in note


def test_numbers_and_boxes_refer_to_the_original_picture(two_faces):
    first = choose_face(two_faces, "1").landmarks
    assert first.box.x < 308
    assert not choose_face(two_faces, "1").notes
    with pytest.raises(FaceError) as caught:
        choose_face(two_faces, "3", PictureScale(original=2.0))
    box = first.box
    words = f"1 at {round(box.x * 2)},{round(box.y * 2)},{round(box.width * 2)},{round(box.height * 2)}"
    assert words in str(caught.value)


def test_error_without_a_face_explains_the_box_and_the_second_detector():
    picture = noise()
    assert find_faces(picture) == []
    with pytest.raises(FaceError, match=r"x,y,width,height.*no weights"):
        choose_face(picture)


def test_box_around_a_face_finds_it(astronaut, face):
    choice = choose_face(astronaut, "170,55,110,135")
    assert choice.landmarks.provider == "face-mesh"
    assert distance_share(choice.landmarks.mesh, face.mesh) < 0.01


def test_box_chooses_between_two_faces(two_faces):
    small = find_faces(two_faces)[0]
    selection = ",".join(str(value * 2) for value in small.box)
    assert overlap(choose_face(two_faces, selection, PictureScale(original=2.0)).landmarks.box, small.box) > 0.8


def test_box_without_a_detected_face_gets_the_mean_face():
    choice = choose_face(noise(), "100,60,120,160")
    assert choice.landmarks.provider == "box"
    np.testing.assert_allclose(choice.landmarks.box, (100, 60, 120, 160), atol=3)
    assert "average face" in choice.notes[0]


@pytest.mark.parametrize(
    ("selection", "message"), [("900,10,80,80", "outside the picture of 800 x 600 px"), ("10,10,8,8", "too small")]
)
def test_invalid_boxes_are_rejected_with_the_size_of_the_picture(selection, message):
    with pytest.raises(FaceError, match=message) as caught:
        choose_face(noise(), selection, PictureScale(original=2.0))
    assert "800 x 600" in str(caught.value)


def test_face_cut_by_the_border(astronaut, face):
    slightly = np.ascontiguousarray(astronaut[80:])
    assert outside_share(choose_face(slightly).landmarks, 512, slightly.shape[0]) > 0.0
    halved = np.ascontiguousarray(astronaut[: int(face.box.y + 0.62 * face.box.height)])
    with pytest.raises(FaceError, match="cut by the picture's border"):
        choose_face(halved)


def test_whole_face_is_preferred_to_a_larger_cut_one(astronaut):
    large = cv2.resize(astronaut, (1024, 1024), interpolation=cv2.INTER_CUBIC)[:512, 445:]
    picture = np.hstack([np.ascontiguousarray(large), astronaut])
    choice = choose_face(picture)
    assert choice.landmarks.box.x > large.shape[1]


def test_tiny_face_is_refused(astronaut):
    tiny = cv2.resize(astronaut, (90, 90), interpolation=cv2.INTER_AREA)
    with pytest.raises(FaceError, match="too small"):
        choose_face(tiny)


def test_tracking_is_independent_of_neighbours_and_agrees_with_finding(astronaut, face):
    first, nothing, again = track_faces(iter([astronaut, np.zeros_like(astronaut), astronaut]))
    assert nothing is None
    np.testing.assert_array_equal(first.mesh, again.mesh)
    assert distance_share(first.mesh, face.mesh) < 0.015


@pytest.mark.usefixtures("second_detector")
def test_second_detector_lifts_its_points_to_the_mesh(monkeypatch, face):
    import sys
    import types

    from sadtalker_ext.faces import face_alignment_provider, mesh_provider

    class FaceAlignment:
        def __init__(self, kind, device, flip_input=True):
            assert (kind, device) == (2, "cpu")

        def get_landmarks_from_image(self, picture, detected_faces=None):
            assert detected_faces is None
            return [subset_68(face.mesh) * 0.5, subset_68(face.mesh)]

    package = types.ModuleType("face_alignment")
    package.FaceAlignment, package.LandmarksType = FaceAlignment, types.SimpleNamespace(TWO_HALF_D=2)
    monkeypatch.setitem(sys.modules, "face_alignment", package)
    monkeypatch.setattr(face_alignment_provider, "installed", lambda: True)
    monkeypatch.setattr(face_alignment_provider, "_require_weights", lambda: None)
    monkeypatch.setattr(face_alignment_provider, "_opened", [])
    monkeypatch.setattr(mesh_provider, "find", lambda _: [])
    small, large = find_faces(noise())
    assert isinstance(large, Landmarks)
    assert large.provider == "face-alignment"
    assert large.box.height > small.box.height
    assert distance_share(large.mesh, face.mesh) < 0.015


@pytest.mark.usefixtures("second_detector")
def test_second_detector_without_weights_or_network_says_so(monkeypatch, tmp_path):
    from sadtalker_ext.faces import face_alignment_provider

    def unreachable(*_, **__):
        raise OSError("network is unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(face_alignment_provider.urllib.request, "getproxies", dict)
    monkeypatch.setattr(face_alignment_provider.socket, "create_connection", unreachable)
    monkeypatch.setattr(face_alignment_provider, "installed", lambda: True)
    monkeypatch.setattr(face_alignment_provider, "_opened", [])
    with pytest.raises(FaceError, match=r"could not download its weights.*unreachable"):
        face_alignment_provider.find(noise())


def test_face_in_box_works_near_the_border(astronaut):
    corner = np.ascontiguousarray(astronaut[60:, 170:])
    assert face_in_box(corner, FaceBox(0, 0, 110, 125)).provider == "face-mesh"
