"""Faces of videos: reading ahead, following a face, and measurements of single crops."""

import numpy as np
import pytest
from portrait_variants import FACE_CENTRE, sample

from sadtalker_ext.faces import mesh_provider
from sadtalker_ext.faces.face_crop import FaceCrop, ImagePyramid, crop_around_mesh
from sadtalker_ext.faces.find import FaceFollower
from sadtalker_ext.faces.networks import face_networks
from sadtalker_ext.geometry.landmarks import FaceBox, oval_box, overlap
from sadtalker_ext.geometry.mean_face import place_in_box

SIZE = 160


@pytest.fixture(scope="module")
def kinds(astronaut):
    """Frames of five kinds: four with a face at another place, one without."""
    centres = (FACE_CENTRE, (200, 110), (250, 140), (240, 90))
    frames = [sample(astronaut, centre, 260, SIZE) for centre in centres]
    return [*frames[:2], np.zeros_like(frames[0]), *frames[2:]]


@pytest.fixture(scope="module")
def alone(kinds):
    """The face of each kind of frame, measured frame by frame."""
    return [next(mesh_provider.track([frame])) for frame in kinds]


@pytest.fixture
def two_places(astronaut):
    """A frame with a large face at the left and a small one at the right, and frames with one of them."""
    large, small = sample(astronaut, FACE_CENTRE, 260, 200), sample(astronaut, FACE_CENTRE, 260, 120)
    both, only_large = np.zeros((200, 320, 3), np.uint8), np.zeros((200, 320, 3), np.uint8)
    both[:, :200] = only_large[:, :200] = large
    both[40:160, 200:] = small
    return both, only_large


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 17])
def test_tracking_gives_one_result_per_frame_in_order(kinds, alone, length):
    assert mesh_provider.TRACK_BATCH == 8, "the lengths are around it"
    found = list(mesh_provider.track(kinds[i * i % 5] for i in range(length)))
    assert len(found) == length
    for index, face in enumerate(found):
        expected = alone[index * index % 5]
        assert (face is None) == (expected is None)
        if expected is not None:
            np.testing.assert_allclose(face.mesh, expected.mesh, atol=0.02)
    assert sum(face is None for face in alone) == 1


def test_tracking_reads_one_batch_ahead(kinds):
    taken = []

    def frames():
        for index in range(20):
            taken.append(index)
            yield kinds[2]

    results = mesh_provider.track(frames())
    assert taken == []
    next(results)
    assert len(taken) == 8
    for _ in range(7):
        next(results)
    assert len(taken) == 8
    next(results)
    assert len(taken) == 16


def test_tracking_takes_the_largest_face(two_places):
    face = next(mesh_provider.track(two_places[:1]))
    assert face.box.x + face.box.width / 2 < 200


def test_a_followed_face_is_lost_and_found_again(kinds, alone):
    follower = FaceFollower()
    for index, is_lost in ((0, False), (1, False), (2, True), (4, False), (3, False)):
        first, settled = follower.update(kinds[index]), follower.update(kinds[index])
        assert (first is None) == (settled is None) == is_lost
        if not is_lost:
            assert overlap(first.box, alone[index].box) > 0.7, "from a crop around the previous place"
            assert overlap(settled.box, alone[index].box) > 0.93


def test_the_followed_face_is_kept_beside_a_larger_one(two_places):
    both, only_large = two_places
    small = next(face for face in mesh_provider.find(both) if face.box.x > 180)
    follower = FaceFollower(small)
    for _ in range(3):
        assert overlap(follower.update(both).box, small.box) > 0.8
    assert follower.update(only_large).box.x < 180, "it is gone: the largest face is used"
    assert follower.update(both).box.x < 180, "and followed from then on"


def test_following_needs_a_face_at_the_place(kinds, alone):
    assert mesh_provider.follow(kinds[0], None) is None
    assert mesh_provider.follow(kinds[2], alone[0].mesh) is None
    face = mesh_provider.follow(kinds[0], alone[0].mesh)
    assert np.abs(face.mesh - alone[0].mesh)[:, :2].mean() < 0.5


def test_faces_at_one_place_are_those_followed_frame_by_frame(kinds, alone):
    frames = [kinds[0], kinds[2], *np.roll(kinds[0], (1, 2), axis=(0, 1))[None].repeat(9, axis=0)]
    faces = list(mesh_provider.follow_each(iter(frames), alone[0].mesh))
    assert len(faces) == len(frames)
    assert faces[1] is None
    for frame, face in zip([frames[0], *frames[2:]], [faces[0], *faces[2:]], strict=True):
        assert np.abs(face.mesh - mesh_provider.follow(frame, alone[0].mesh).mesh)[:, :2].max() < 0.05


def test_views_of_one_face_agree(kinds, alone):
    pyramid, base = ImagePyramid(kinds[0]), crop_around_mesh(alone[0].mesh)
    crops = [base, base.jittered((0.0, 0.0), 1.0, 0.0, flip=True), base.jittered((0.02, -0.02), 1.05, 0.3, flip=False)]
    meshes, presence = mesh_provider.measure(face_networks(), [(pyramid, crop) for crop in crops])
    height = oval_box(meshes[0]).height
    assert presence.min() > mesh_provider.MIN_VIEW_PRESENCE
    for mesh in meshes[1:]:
        assert np.linalg.norm((mesh - meshes[0])[:, :2], axis=1).mean() < 0.02 * height


def test_refining_averages_views_and_measures_their_spread(kinds, alone):
    refined = mesh_provider.refine(face_networks(), ImagePyramid(kinds[0]), alone[0].mesh)
    assert refined.is_face
    assert 0 < refined.spread < mesh_provider.MAX_VIEW_SPREAD
    assert overlap(refined.landmarks.box, alone[0].box) > 0.9
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    nothing = mesh_provider.refine(face_networks(), ImagePyramid(noise), place_in_box(FaceBox(40, 40, 80, 90)))
    assert not nothing.is_face


def test_only_faces_in_doubt_are_measured_twice(kinds, alone, monkeypatch):
    """A first measurement stands if it is clear or hopeless; the refined mesh of a clear face stays the same."""
    networks, pyramid = face_networks(), ImagePyramid(kinds[0])
    crop = crop_around_mesh(alone[0].mesh).jittered((0.04, -0.03), 1.1, 0.05, flip=False)
    beside, nothing = crop.jittered((0.06, 0.02), 1.0, 0.0, flip=False), FaceCrop(20, 20, 30)
    views = [(pyramid, place) for place in (crop, nothing, beside)]
    first, presence = mesh_provider.measure(networks, views)
    monkeypatch.setattr(mesh_provider, "MIN_FIRST_PRESENCE", float(presence[1]) + 0.1)
    twice, scores = mesh_provider.measure_twice(networks, views)
    assert presence[2] > mesh_provider.MIN_FIRST_PRESENCE
    assert [np.array_equal(mesh, other) for mesh, other in zip(first, twice, strict=True)] == [False, True, False]
    assert scores[1] == presence[1]
    enough = float(presence[0]) - 1
    clear, _ = mesh_provider.measure_twice(networks, views, enough)
    np.testing.assert_allclose(clear[0], first[0], atol=1e-3)
    monkeypatch.setattr(mesh_provider, "CLEAR_PRESENCE", enough)
    (start,) = mesh_provider.estimate_meshes(networks, pyramid, [crop], mesh_provider.MIN_PRESENCE)
    np.testing.assert_allclose(start, first[0], atol=1e-3)
    refined, expected = (mesh_provider.refine(networks, pyramid, mesh).mesh for mesh in (start, twice[0]))
    assert np.linalg.norm((refined - expected)[:, :2], axis=1).mean() < 0.004 * alone[0].box.height


@pytest.mark.parametrize("turn_rad", [0.0, np.pi / 2, np.pi, -np.pi / 2])
def test_a_region_in_a_wrong_direction_gives_the_upright_mesh(kinds, alone, turn_rad):
    crop = crop_around_mesh(alone[0].mesh).jittered((0.0, 0.0), 1.0, turn_rad, flip=False)
    (mesh,) = mesh_provider.estimate_meshes(face_networks(), ImagePyramid(kinds[0]), [crop], mesh_provider.MIN_PRESENCE)
    height = alone[0].box.height
    assert np.linalg.norm((mesh - alone[0].mesh)[:, :2], axis=1).mean() < 0.03 * height


def test_regions_without_a_face_give_no_mesh(kinds, alone):
    crops = [FaceCrop(20, 20, 30), crop_around_mesh(alone[0].mesh), FaceCrop(150, 150, 20)]
    pyramid = ImagePyramid(kinds[0])
    (mesh,) = mesh_provider.estimate_meshes(face_networks(), pyramid, crops, mesh_provider.MIN_PRESENCE_IN_TILE)
    assert overlap(oval_box(mesh), alone[0].box) > 0.9
    assert mesh_provider.estimate_meshes(face_networks(), pyramid, [], 0.0) == []


def test_a_box_without_a_face_gives_none():
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    assert mesh_provider.find_in_box(noise, FaceBox(50, 50, 90, 100)) is None
