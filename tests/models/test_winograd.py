"""WinogradConv against a direct convolution, in float64, where only the formulas count."""

import pytest
import torch
import torch.nn.functional as F

from sadtalker_ext.models import winograd
from sadtalker_ext.models.winograd import WinogradConv


def numbers(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (7, 9), (64, 64), (130, 70), (3, 200)])
@pytest.mark.parametrize("keep", [False, True])
def test_it_equals_a_direct_convolution_including_borders(size, keep):
    x, weight, bias = numbers(1, 5, *size), numbers(6, 5, 3, 3), numbers(6)
    wanted = F.conv2d(x, weight, bias, padding=1)
    assert torch.allclose(WinogradConv(weight, bias, keep=keep)(x), wanted, atol=1e-11)


def test_bands_and_chunks_join_without_seams(monkeypatch):
    monkeypatch.setattr(winograd, "BAND_TILES", 6)
    monkeypatch.setattr(winograd, "CHUNK", 4)
    x, weight, bias = numbers(1, 3, 22, 10), numbers(9, 3, 3, 3), numbers(9)
    wanted = F.conv2d(x, weight, bias, padding=1)
    conv = WinogradConv(weight, bias)
    assert len(list(conv.bands(x))) == 3
    assert torch.allclose(conv(x), wanted, atol=1e-11)


def test_rounding_of_float32_stays_far_below_a_level_of_a_pixel():
    x, weight = numbers(1, 64, 16, 16, dtype=torch.float32), numbers(8, 64, 3, 3, dtype=torch.float32)
    bias = torch.zeros(8)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    error = (WinogradConv(weight, bias)(x) - exact).abs().max() / exact.std()
    assert 0 < error < 2e-5
