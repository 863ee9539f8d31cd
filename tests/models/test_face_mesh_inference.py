"""The functions for inference compute what the modules compute."""

import types

import numpy as np
import pytest
import torch
from torch import nn

from sadtalker_ext.models import blaze_inference
from sadtalker_ext.models.blaze_blocks import BlazeBlock
from sadtalker_ext.models.blaze_inference import InferenceBlock, LayerWeights, MatrixLayer, MatrixSum, convolution
from sadtalker_ext.models.face_mesh import FaceMesh, RegionCrops
from sadtalker_ext.models.face_mesh_inference import FaceMeshInference
from sadtalker_ext.weights.face_networks import FACE_MESH, load_face_network, read_face_weights

BLOCKS = {
    "plain": (8, 8, 1, 1, True),
    "relu": (8, 8, 1, 1, False),
    "wider": (8, 12, 1, 1, True),
    "halved": (8, 8, 2, 1, True),
    "halved and wider": (8, 16, 2, 1, False),
    "grouped": (4, 4, 1, 3, True),
    "grouped, halved and wider": (4, 6, 2, 5, True),
}


def randomize(network, seed=0):
    """Give every parameter values that matter: slopes of both signs, biases, and weights without symmetry."""
    generator = torch.Generator().manual_seed(seed)
    for value in network.parameters():
        value.data = torch.randn(value.shape, generator=generator) * 0.4
    return network.eval().requires_grad_(requires_grad=False)


def maps(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


def weights_of(module):
    return LayerWeights(module.state_dict())


def old_kernels(monkeypatch):
    monkeypatch.setattr(torch.ops, "mkldnn", types.SimpleNamespace())


def refusing_kernels(monkeypatch):
    def refuse(*_):
        raise RuntimeError("not built with oneDNN")

    default = types.SimpleNamespace(default=refuse)
    kernels = types.SimpleNamespace(_reorder_convolution_weight=refuse, _convolution_pointwise=default)
    monkeypatch.setattr(torch.ops, "mkldnn", kernels)


@pytest.fixture(params=["these", "old", "refusing"])
def kernels(request, monkeypatch):
    """The kernels of this PyTorch, those of a version without oneDNN's functions, and those of a build without it."""
    {"these": lambda _: None, "old": old_kernels, "refusing": refusing_kernels}[request.param](monkeypatch)
    blaze_inference.has_packed_convolutions.cache_clear()
    yield
    blaze_inference.has_packed_convolutions.cache_clear()


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_agrees_with_its_module_and_keeps_its_input(name, count):
    inputs, outputs, stride, groups, prelu = BLOCKS[name]
    block = randomize(BlazeBlock(inputs, outputs, stride, groups, prelu=prelu))
    x = maps(count, 6, 10, groups * inputs)
    expected = block(x.permute(0, 3, 1, 2).clone(memory_format=torch.preserve_format)).permute(0, 2, 3, 1)
    before = x.clone()
    found = InferenceBlock(weights_of(block))(x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert found.is_contiguous()
    assert torch.equal(x, before)
    torch.testing.assert_close(InferenceBlock(weights_of(block), overwrite=True)(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("side_px", [1, 2, 3, 4])
@pytest.mark.parametrize("groups", [1, 3])
def test_a_block_for_one_size_agrees_with_its_module(side_px, groups):
    block = randomize(BlazeBlock(4, 4, 1, groups, prelu=True))
    x = maps(3, side_px, side_px, groups * 4)
    expected = block(x.permute(0, 3, 1, 2).clone(memory_format=torch.preserve_format)).permute(0, 2, 3, 1)
    torch.testing.assert_close(InferenceBlock(weights_of(block), side_px=side_px)(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("kernels")
def test_a_packed_convolution_agrees_with_its_module():
    layer = randomize(nn.Conv2d(3, 5, (3, 4), 2, 1))
    x = maps(2, 9, 11, 3)
    torch.testing.assert_close(
        convolution(weights_of(layer), 2, 1)(x), layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("groups", [1, 3])
def test_a_matrix_layer_agrees_with_its_module(groups):
    layer = randomize(nn.Conv2d(groups * 4, groups * 6, 1, groups=groups))
    x = maps(10, groups * 4)
    torch.testing.assert_close(
        MatrixSum(weights_of(layer), groups)(x), layer(x[:, :, None, None])[:, :, 0, 0], atol=1e-5, rtol=1e-5
    )
    whole = randomize(nn.Conv2d(4, 7, (2, 3)))
    x = maps(5, 2, 3, 4)
    expected = whole(x.permute(0, 3, 1, 2))[:, :, 0, 0]
    torch.testing.assert_close(MatrixLayer(weights_of(whole))(x.flatten(1)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("count", [1, 2])
def test_landmarks_agree_with_the_module(astronaut, count):
    network = load_face_network(FACE_MESH)
    face = np.ascontiguousarray(astronaut[20:212, 130:322])
    crops = torch.from_numpy(np.stack([face, face[::-1, ::-1]][:count])).permute(0, 3, 1, 2) / 255
    mesh, presence = network(crops)
    quick_mesh, quick_presence = FaceMeshInference(network.state_dict())(crops)
    torch.testing.assert_close(quick_mesh, mesh, atol=5e-4, rtol=0)
    assert float((quick_mesh - mesh).abs().mean()) < 2e-5, "px in a crop of 192 px"
    torch.testing.assert_close(quick_presence, presence, atol=1e-4, rtol=0)


@pytest.mark.usefixtures("kernels")
def test_maps_of_the_mouth_agree_with_the_module(astronaut):
    network = load_face_network(FACE_MESH)
    face = np.ascontiguousarray(astronaut[20:212, 130:322])
    crops = torch.from_numpy(np.stack([face, face[:, ::-1]])).permute(0, 3, 1, 2) / 255
    for found, expected in zip(
        FaceMeshInference(network.state_dict()).mouth_maps(crops), network.mouth_maps(crops), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=5e-4, rtol=1e-4)


def test_half_precision_weights_are_used_as_float32():
    weights = read_face_weights(FACE_MESH)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    crops = maps(1, 3, 192, 192).sigmoid()
    expected = FaceMeshInference({name: value.float() for name, value in weights.items()})(crops)
    for found, other in zip(FaceMeshInference(weights)(crops), expected, strict=True):
        assert torch.equal(found, other)


def test_the_result_does_not_depend_on_earlier_calls(astronaut):
    network = FaceMeshInference(read_face_weights(FACE_MESH))
    crops = torch.from_numpy(np.ascontiguousarray(astronaut[20:212, 130:322])).permute(2, 0, 1)[None] / 255
    first = network(crops)[0].clone()
    network(1 - crops)
    assert torch.equal(network(crops)[0], first)


def test_onednn_is_used_where_it_is_built_in():
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        pytest.skip("this PyTorch has no oneDNN")
    layer = randomize(nn.Conv2d(8, 8, 3, 1, 1, groups=8))
    assert convolution(weights_of(layer), 1, 1, 8).__name__ == "quick"


def crop_by_loops(features, transform, size=16):
    """Bilinear samples of features (C, H, W) at transformed pixel centres, 0 outside; one position at a time."""
    high, wide = features.shape[1:]
    found = np.zeros((size, size, len(features)))
    for row in range(size):
        for column in range(size):
            x, y = transform @ [column + 0.5, row + 0.5, 1.0] - 0.5
            if not (0 <= x <= wide - 1 and 0 <= y <= high - 1):
                continue
            left, top = min(int(x), wide - 2), min(int(y), high - 2)
            u, v = x - left, y - top
            square = features[:, top : top + 2, left : left + 2]
            found[row, column] = square @ [1 - u, u] @ [1 - v, v]
    return found


def test_regions_are_cropped_as_plain_loops_do():
    rng = np.random.default_rng(5)
    features = rng.standard_normal((2, 4, 48, 48)).astype(np.float32)
    transforms = np.zeros((2, 3, 2, 3), np.float32)
    for index, (scale, angle, x, y) in enumerate([(1, 0, 5, 7), (1.3, 0.4, 9, 4), (0.6, -0.8, 2.2, 30), (2.5, 2, 30, 2),
                                                  (1.1, 3, 40, 40), (3.4, 0.1, -3, -2)]):  # fmt: skip
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        transforms[index // 3, index % 3] = [[cosine, -sine, x], [sine, cosine, y]]
    found = RegionCrops().crop(torch.from_numpy(features), torch.from_numpy(transforms))
    found = found.permute(0, 2, 3, 1).unflatten(3, (3, 4)).numpy()
    outside = 0
    for picture in range(2):
        for region in range(3):
            expected = crop_by_loops(features[picture], transforms[picture, region].astype(np.float64))
            outside += int((expected == 0).all(-1).sum())
            np.testing.assert_allclose(found[picture, :, :, region], expected, atol=2e-4)
    assert outside > 50


def test_transforms_fit_the_regions_of_a_turned_face():
    """The crop of a region is level with its corners and 1.5 times as large as the extent of its points."""
    from sadtalker_ext.models.face_mesh_regions import LEVEL_POINTS, REGIONS

    rng = np.random.default_rng(2)
    mesh = rng.uniform(40, 150, (1, 468, 3)).astype(np.float32)
    transforms = RegionCrops().transforms(torch.from_numpy(mesh))[0].double().numpy()
    for (left, right), points, transform in zip(LEVEL_POINTS, REGIONS, transforms, strict=True):
        inverse = np.linalg.inv(transform[:, :2])
        placed = (mesh[0, :, :2] / 4 - transform[:, 2]) @ inverse.T
        assert abs(placed[left, 1] - placed[right, 1]) < 1e-3
        assert placed[left, 0] < placed[right, 0]
        low, high = placed[list(points)].min(axis=0), placed[list(points)].max(axis=0)
        np.testing.assert_allclose(high - low, 16 / 1.5, atol=1e-3)
        np.testing.assert_allclose((low + high) / 2, 8, atol=1e-3)


def test_weights_are_copied():
    network = randomize(FaceMesh())
    quick = FaceMeshInference(network.state_dict())
    crops = maps(1, 3, 192, 192).sigmoid()
    expected = quick(crops)[1].clone()
    randomize(network, seed=1)
    for value in network.parameters():
        value.data.zero_()
    assert torch.equal(quick(crops)[1], expected)
