"""FaceNetworks: batches, threads, devices, loading, and the merging of detections."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from portrait_variants import face_crops, scenes

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.faces import networks
from sadtalker_ext.faces.networks import MAX_BATCH, FaceNetworks, face_networks
from sadtalker_ext.weights.face_networks import FACE_NETWORKS, SHORT_RANGE, load_face_network

THREADS = 8


@pytest.fixture(scope="module")
def crops(astronaut):
    return list(face_crops(astronaut).values())


@pytest.fixture(scope="module")
def pictures(astronaut):
    return list(scenes(astronaut, 150).values())


@pytest.fixture(scope="module")
def alone(crops):
    """Mesh and presence of each crop, measured one at a time."""
    found = [face_networks().landmarks([crop]) for crop in crops]
    return np.concatenate([mesh for mesh, _ in found]), np.concatenate([presence for _, presence in found])


def test_landmarks_do_not_depend_on_the_batch(crops, alone):
    assert len(crops) > MAX_BATCH, "more than one forward pass"
    meshes, presence = face_networks().landmarks(crops)
    np.testing.assert_allclose(presence, alone[1], atol=1e-4)
    backwards, _ = face_networks().landmarks(crops[::-1])
    for found in (meshes, backwards[::-1]):
        assert np.abs(found - alone[0]).mean(axis=(1, 2)).max() < 1e-4, "mean over a mesh, px"
        np.testing.assert_allclose(found, alone[0], atol=1e-3)


@pytest.mark.parametrize("reach", ["short", "full"])
def test_detections_do_not_depend_on_the_batch(pictures, astronaut, reach):
    mixed = [*pictures, astronaut, astronaut[:, 100:300], astronaut[50:150]]
    together = face_networks().detect(mixed, reach)
    for picture, found in zip(mixed, together, strict=True):
        (expected,) = face_networks().detect([picture], reach)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert found.shape[1] == 17
        assert np.all(np.diff(found[:, 0]) <= 0), "by falling score"
    assert sum(map(len, together)) >= 7


def test_masks_do_not_depend_on_the_batch(astronaut):
    shown = list(scenes(astronaut, 256).values())[:3]
    masks = face_networks().segment(shown)
    for picture, mask in zip(shown, masks, strict=True):
        np.testing.assert_allclose(mask, face_networks().segment([picture])[0], atol=1e-4)
    assert masks.min() >= 0
    assert masks.max() <= 1


def test_empty_batches_give_empty_results():
    meshes, presence = face_networks().landmarks([])
    assert (meshes.shape, presence.shape) == ((0, 478, 3), (0,))
    assert face_networks().detect([], "short") == []
    assert face_networks().segment([]).shape == (0, 256, 256)


def test_pictures_are_not_changed(crops, pictures):
    before = [picture.copy() for picture in (*crops, *pictures)]
    face_networks().landmarks(crops[:2])
    face_networks().detect(pictures[:2], "full")
    for picture, copy in zip((*crops, *pictures), before, strict=True):
        np.testing.assert_array_equal(picture, copy)


def test_detections_are_fractions_of_pictures_of_any_shape(astronaut):
    (square,) = face_networks().detect([astronaut], "short")
    for left, top, right, bottom in ((0, 0, 512, 300), (80, 0, 400, 512)):
        part = astronaut[top:bottom, left:right]
        ((found, *_),) = face_networks().detect([part], "short")
        size = np.tile([right - left, bottom - top], 8)
        places = found[1:] * size
        places[[0, 1, *range(4, 16)]] += np.tile([left, top], 7)
        np.testing.assert_allclose(places, square[0, 1:] * 512, atol=6)


def count_loads(monkeypatch, loads):
    """Add the names of networks to ``loads`` when they are read."""

    def counted(read):
        return lambda network: loads.append(network.name) or read(network)

    for name in ("load_face_network", "read_face_weights"):
        monkeypatch.setattr(networks, name, counted(getattr(networks, name)))


def test_first_use_from_several_threads_loads_each_network_once(crops, pictures, alone, monkeypatch):
    loads = []

    count_loads(monkeypatch, loads)
    shared, start = FaceNetworks(), threading.Barrier(THREADS)

    def work(index):
        start.wait(timeout=60)
        meshes, _ = shared.landmarks([crops[index]])
        return meshes[0], shared.detect([pictures[0]], "short")[0], shared.segment([np.zeros((256, 256, 3), np.uint8)])

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(work, range(THREADS)))
    assert sorted(loads) == ["blaze_face_short_range", "face_mesh", "person_segmenter"]
    for index, (mesh, found, mask) in enumerate(results):
        np.testing.assert_allclose(mesh, alone[0][index], atol=1e-3)
        np.testing.assert_array_equal(found, results[0][1])
        np.testing.assert_array_equal(mask, results[0][2])


def test_one_object_per_device():
    assert face_networks() is face_networks("cpu")
    assert face_networks(device="cpu") is face_networks()
    start, found = threading.Barrier(THREADS), []

    def open_networks(_):
        start.wait(timeout=60)
        found.append(face_networks("meta"))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(open_networks, range(THREADS)))
    assert len(set(map(id, found))) == 1
    assert found[0] is not face_networks()


def test_networks_are_loaded_when_they_are_used(monkeypatch):
    loads = []
    count_loads(monkeypatch, loads)
    lazy = FaceNetworks()
    assert loads == []
    lazy.load(SHORT_RANGE)
    lazy.detect([np.zeros((20, 30, 3), np.uint8)], "short")
    assert loads == ["blaze_face_short_range"]


def test_a_failed_load_is_reported_and_tried_again(monkeypatch, crops):
    broken = FaceNetworks()

    def fail(network):
        raise WeightsError(f"{network.name} is missing")

    with monkeypatch.context() as patch:
        patch.setattr(networks, "read_face_weights", fail)
        with pytest.raises(WeightsError, match="face_mesh is missing"):
            broken.landmarks(crops[:1])
    assert broken.landmarks(crops[:1])[0].shape == (1, 478, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees_with_the_cpu(crops, pictures, alone, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    meshes, presence = face_networks("cuda").landmarks(crops)
    assert np.linalg.norm((meshes - alone[0])[..., :2], axis=-1).mean() < 0.01
    np.testing.assert_allclose(presence, alone[1], atol=0.05)
    for found, expected in zip(*(face_networks(d).detect(pictures, "full") for d in ("cuda", "cpu")), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("network", FACE_NETWORKS, ids=lambda network: network.name)
def test_networks_run_in_float32_and_are_frozen(network):
    module = load_face_network(network)
    assert {value.dtype for value in module.parameters()} == {torch.float32}
    assert not any(value.requires_grad for value in module.parameters())
    assert not module.training
    assert module is not load_face_network(network)


def merge_by_loops(rows, limit=0.3):
    """Weighted merging as section 3.3 of the BlazeFace paper describes it, one detection after the other."""
    rest, merged = sorted(rows.tolist(), key=lambda row: -row[0]), []
    while rest:
        best, group, others = rest[0], [rest[0]], []
        for row in rest[1:]:
            wide = min(best[1] + best[3], row[1] + row[3]) - max(best[1], row[1])
            high = min(best[2] + best[4], row[2] + row[4]) - max(best[2], row[2])
            common = max(0.0, wide) * max(0.0, high)
            union = best[3] * best[4] + row[3] * row[4] - common
            (group if common / union > limit else others).append(row)
        weight = sum(row[0] for row in group)
        mean = [sum(row[0] * row[column] for row in group) / weight for column in range(17)]
        merged.append([best[0], *mean[1:]])
        rest = others
    return np.array(merged).reshape(-1, 17)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 60, 300])
def test_merging_agrees_with_a_plain_loop(count):
    rng = np.random.default_rng(count)
    rows = rng.random((count, 17))
    rows[:, 0] = 0.2 + 0.8 * rows[:, 0]
    rows[:, 3:5] = 0.1 + 0.3 * rows[:, 3:5]
    merged = networks._merge_detections(rows.astype(np.float32))
    expected = merge_by_loops(rows.astype(np.float32))
    assert merged.shape == expected.shape
    np.testing.assert_allclose(merged, expected, atol=1e-5)
    if count >= 60:
        assert 1 < len(merged) < count


def test_merging_of_equal_and_of_empty_boxes():
    row = np.linspace(0.9, 0.1, 17, dtype=np.float32)
    np.testing.assert_allclose(networks._merge_detections(np.stack([row] * 3)), row[None], atol=1e-6)
    flat = row.copy()
    flat[3:5] = 0
    assert len(networks._merge_detections(np.stack([flat] * 3))) == 3, "boxes without area do not overlap"


def test_anchors_are_made_once(monkeypatch):
    made = []
    real = networks.FaceAnchors
    monkeypatch.setattr(networks, "FaceAnchors", lambda *size: made.append(size) or real(*size))
    fresh = FaceNetworks()
    for _ in range(3):
        fresh.detect([np.zeros((64, 64, 3), np.uint8)], "short")
    assert len(made) == 1


def test_landmarks_and_mouth_covers_share_one_face_mesh(monkeypatch):
    loaded = []
    count_loads(monkeypatch, loaded)
    opened, crop = FaceNetworks(), np.zeros((192, 192, 3), np.uint8)
    opened.landmarks([crop])
    opened.mouth_cover([crop])
    assert loaded == ["face_mesh"]
