"""HalfWinogradConv against a direct convolution, in float64, where only the formulas count, and in bfloat16."""

import pytest
import torch
import torch.nn.functional as F
from test_winograd import numbers

from sadtalker_ext.models import half_winograd
from sadtalker_ext.models.banded_conv import banded_conv, layout_of
from sadtalker_ext.models.half_winograd import HalfWinogradConv
from sadtalker_ext.models.winograd import WinogradConv


@pytest.mark.parametrize("size", [(2, 2), (4, 6), (64, 16), (130, 70)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_equals_a_direct_convolution_including_borders(size, layout):
    x, weight, bias = numbers(1, 5, *size), numbers(6, 5, 3, 3), numbers(6)
    found = HalfWinogradConv(weight, bias, x.dtype)(x.contiguous(memory_format=layout))
    assert torch.allclose(found, F.conv2d(x, weight, bias, padding=1), atol=1e-12)


def test_bands_join_without_seams(monkeypatch):
    monkeypatch.setattr(half_winograd, "BAND_PIXELS", 80)
    x, weight, bias = numbers(1, 3, 22, 10), numbers(9, 3, 3, 3), numbers(9)
    conv = HalfWinogradConv(weight, bias, x.dtype)
    assert len(list(conv.bands(x))) == 3
    assert torch.allclose(conv(x), F.conv2d(x, weight, bias, padding=1), atol=1e-12)


def test_bands_are_those_of_any_other_convolution():
    x, kernels, bias = numbers(1, 3, 8, 8), numbers(2, 9, 3, 3, 3), numbers(9)
    first, second = (HalfWinogradConv(kernel, bias, x.dtype) for kernel in kernels)
    assert torch.equal(second.join(first.bands(x), (8, 8)), second(x))


def test_few_digits_of_bfloat16_are_lost():
    x, weight, bias = numbers(1, 64, 16, 16).to(torch.bfloat16), numbers(8, 64, 3, 3), numbers(8)
    exact = F.conv2d(x.double(), weight, bias, padding=1)
    direct, found = F.conv2d(x, weight.to(x), bias.to(x), padding=1), HalfWinogradConv(weight, bias, x.dtype)(x)
    lost, least = ((part - exact).square().mean().sqrt() / exact.std() for part in (found, direct))
    assert least < lost < 4 * least < 0.01


def test_the_result_has_the_layout_of_the_dtype():
    x, bias = numbers(1, 8, 4, 4).to(torch.bfloat16), torch.zeros(8)
    found = banded_conv(torch.zeros(8, 8, 3, 3), bias, x.dtype)(x)
    assert found.is_contiguous(memory_format=layout_of(x.dtype))
    assert layout_of(x.dtype) == torch.channels_last


def test_the_algorithm_depends_on_the_dtype():
    kinds = [
        type(banded_conv(torch.zeros(8, 8, 3, 3), torch.zeros(8), dtype)) for dtype in (torch.float32, torch.bfloat16)
    ]
    assert kinds == [WinogradConv, HalfWinogradConv]
