"""UpsampledConv against upsampling followed by convolution."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sadtalker_ext.models.upsampled_conv import UpsampledConv


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8)])
def test_it_equals_convolution_after_upsampling_including_borders(factor, size):
    conv = nn.Conv2d(3, 4, 3, padding=1).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    wanted = conv(F.interpolate(x, scale_factor=factor, mode="nearest"))
    assert torch.allclose(UpsampledConv(conv, factor)(x), wanted, atol=1e-12)


def test_depth_is_convolved_but_not_upsampled():
    conv = nn.Conv3d(3, 4, 3, padding=1).double()
    x = torch.randn(1, 3, 4, 5, 6, dtype=torch.float64)
    wanted = conv(F.interpolate(x, scale_factor=(1, 2, 2)))
    assert torch.allclose(UpsampledConv(conv, 2)(x), wanted, atol=1e-12)


def test_it_needs_fewer_multiplications():
    x, conv = torch.randn(1, 8, 16, 16), nn.Conv2d(8, 8, 3, padding=1)
    from torch.utils.flop_counter import FlopCounterMode

    def flops(call):
        with FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops()

    plain = flops(lambda: conv(F.interpolate(x, scale_factor=4)))
    assert flops(lambda: UpsampledConv(conv, 4)(x)) == pytest.approx(plain * 25 / 144)
    assert flops(lambda: UpsampledConv(conv, 2)(x)) == pytest.approx(plain / 4 * 4 / 9)


def test_other_convolutions_are_refused():
    with pytest.raises(ValueError, match="phases"):
        UpsampledConv(nn.Conv2d(3, 4, 5, padding=2), 2)
