"""NarrowConv against direct convolutions, in float64, where only the formulas count."""

import pytest
import torch
import torch.nn.functional as F
from test_winograd import numbers
from torch import nn

from sadtalker_ext.models.narrow_conv import NarrowConv


@pytest.mark.parametrize(("side", "outputs"), [(1, 2), (3, 3), (7, 1)])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (16, 16)])
@torch.no_grad()
def test_shifted_maps_equal_a_direct_convolution(side, outputs, size):
    conv = nn.Conv2d(6, outputs, side, padding=side // 2, dtype=torch.float64)
    x = numbers(1, 6, *size)
    assert torch.allclose(NarrowConv(conv)(x), conv(x), atol=1e-12)


@torch.no_grad()
def test_shifted_maps_in_bfloat16_are_added_in_float32():
    conv = nn.Conv2d(64, 1, 7, padding=3).to(torch.bfloat16)
    x = numbers(1, 64, 16, 16).to(torch.bfloat16)
    exact = F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=3)
    found = NarrowConv(conv)(x)
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 0.02 * exact.std()


def test_other_convolutions_are_refused():
    for conv in (nn.Conv2d(4, 1, 3), nn.Conv2d(4, 1, 4, padding=2), nn.Conv2d(4, 1, 3, padding=1, bias=False)):
        with pytest.raises(ValueError, match="cannot split"):
            NarrowConv(conv)
