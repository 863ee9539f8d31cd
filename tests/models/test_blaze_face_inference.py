"""The functions of the detectors for inference compute what the modules compute."""

import numpy as np
import pytest
import torch
from torch import nn

from sadtalker_ext.models.blaze_blocks import BottleneckBlazeBlock
from sadtalker_ext.models.blaze_face import BlazeFaceFullRange, BlazeFaceShortRange
from sadtalker_ext.models.blaze_face_inference import FullRangeInference, ShortRangeInference
from sadtalker_ext.models.blaze_inference import BottleneckInferenceBlock, LayerWeights
from sadtalker_ext.weights.face_networks import FULL_RANGE, SHORT_RANGE, read_face_weights

DETECTORS = {
    "short": (SHORT_RANGE, BlazeFaceShortRange, ShortRangeInference),
    "full": (FULL_RANGE, BlazeFaceFullRange, FullRangeInference),
}


@pytest.fixture(scope="module", params=DETECTORS)
def detector(request):
    """The module and its function for inference, with the shipped weights."""
    network, module_class, function_class = DETECTORS[request.param]
    weights = read_face_weights(network)
    module = module_class().eval().requires_grad_(requires_grad=False)
    module.load_state_dict(weights)
    return module, function_class(weights)


def pictures(astronaut, side):
    """Return pictures (3, 3, side, side) in [-1, 1]; the first shows a whole face."""
    step = 384 // side
    square = astronaut[: side * step : step, 50 : 50 + side * step : step]
    parts = (square, astronaut[:side, :side], astronaut[-side:, -side:])
    return torch.from_numpy(np.stack(parts)).permute(0, 3, 1, 2) / 127.5 - 1


@pytest.mark.parametrize("count", [1, 3])
def test_detections_agree_with_the_module(detector, astronaut, count):
    module, function = detector
    assert (function.side_px, function.grids) == (module.side_px, module.grids)
    shown = pictures(astronaut, module.side_px)[:count]
    before = shown.clone()
    expected, found = module(shown), function(shown)
    assert float(expected[0].max()) > 0, "a face is found"
    for value, other in zip(found, expected, strict=True):
        assert value.shape == other.shape
        torch.testing.assert_close(value, other, atol=5e-4, rtol=1e-4)
    assert torch.equal(shown, before), "the pictures are not changed"


def test_a_picture_gives_the_same_result_again(detector, astronaut):
    module, function = detector
    shown = pictures(astronaut, module.side_px)[:1]
    first = [value.clone() for value in function(shown)]
    function(-shown)
    assert all(torch.equal(value, other) for value, other in zip(function(shown), first, strict=True))


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(6, 6, 1), (6, 10, 2)])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_bottleneck_block_agrees_with_its_module(inputs, outputs, stride, overwrite):
    block = BottleneckBlazeBlock(inputs, 4, outputs, stride)
    generator = torch.Generator().manual_seed(3)
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data, layer.bias.data = (
                torch.randn(value.shape, generator=generator) for value in (layer.weight, layer.bias)
            )
    x = torch.randn(2, 8, 12, inputs, generator=generator)
    before = x.clone()
    with torch.no_grad():
        expected = block(x.permute(0, 3, 1, 2).contiguous()).permute(0, 2, 3, 1)
        found = BottleneckInferenceBlock(LayerWeights(block.state_dict()), overwrite=overwrite)(x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert overwrite or torch.equal(x, before)
