"""The generator is opened in the requested dtype, and refused in one whose numbers are wrong."""

import pytest
import torch
from torch import nn

from sadtalker_ext import runtime
from sadtalker_ext.engines.sadtalker import renderer
from sadtalker_ext.engines.sadtalker.renderer import open_renderer, psnr_db
from sadtalker_ext.errors import EngineError
from sadtalker_ext.models.dense_motion import DenseMotionConfig
from sadtalker_ext.models.fast_generator import FastGenerator, convert_convolutions
from sadtalker_ext.models.folding import fold
from sadtalker_ext.models.generator import Generator, GeneratorConfig
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.weights.random_weights import random_state

CPU = torch.device("cpu")
MOTION = DenseMotionConfig(keypoints=5, feature_channels=8, base_channels=8, max_channels=16, levels=1, depth=4)
SMALL = GeneratorConfig(base_channels=8, max_channels=32, depth=4, resblocks=1, motion=MOTION)


def load(keep=()):
    network = Generator(SMALL)
    network.load_state_dict(random_state("generator.", network))
    return fold(network, keep)


@pytest.fixture
def with_bfloat16(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("flags : avx512_bf16\n")
    monkeypatch.setattr(runtime, "CPU_INFO", tmp_path / "cpuinfo")


def frames(opened):
    seeded = torch.Generator().manual_seed(1)
    image = torch.rand(1, 3, 32, 32, generator=seeded)
    source, driving = torch.rand(2, 1, 5, 3, generator=seeded) - 0.5
    with torch.no_grad():
        return opened.render(opened.encode_source(image), source, driving.expand(2, -1, -1))


def test_auto_computes_in_float32_on_a_cpu():
    opened = open_renderer(load, Runtime(), CPU)
    assert isinstance(opened, FastGenerator)
    assert psnr_db(frames(load()), frames(opened)) > 100


def test_bfloat16_convolves_in_bfloat16_and_agrees_with_float32(with_bfloat16):
    opened = open_renderer(load, Runtime(dtype="bfloat16"), CPU)
    assert opened.decoder.fc.bias.dtype == torch.float32
    assert opened.decoder.blocks[0].conv_0.bias.dtype == torch.bfloat16
    assert opened.generator.dense_motion_network.mask.weight.dtype == torch.bfloat16
    assert opened.generator.first.conv.weight.dtype == torch.float32
    assert 35 < psnr_db(frames(load()), frames(opened)) < 90


def test_a_dtype_with_wrong_numbers_is_refused(with_bfloat16, monkeypatch):
    def broken(generator, dtype, device):
        generator.decoder.conv_img.bias.add_(1)
        return FastGenerator(generator, dtype)

    monkeypatch.setattr(renderer, "_arranged", broken)
    with pytest.raises(EngineError, match=r"bfloat16 agrees with float32 to only \d+ dB, but 35 dB are needed"):
        open_renderer(load, Runtime(dtype="bfloat16"), CPU)


def test_converted_modules_render_batches_as_on_a_gpu():
    exact, generator = frames(load()), load()
    convert_convolutions(generator, torch.bfloat16)
    assert 35 < psnr_db(exact, frames(generator)) < 90


def test_ratio_against_the_formula():
    exact = torch.zeros(1, 3, 4, 4)
    assert psnr_db(exact, exact + 0.1) == pytest.approx(20)
    assert psnr_db(exact, exact) == float("inf")
    assert psnr_db(exact, exact + torch.tensor(float("nan"))) == float("-inf")


def test_kernels_for_tensor_cores_have_channels_last_and_yield_the_same_frames():
    arranged = renderer._arranged(load(), torch.float32, torch.device("cuda"))
    kernels = [arranged.fourth.weight, arranged.decoder.fc.weight, arranged.decoder.up_0.norm_0.mlp_gamma.weight]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    assert psnr_db(frames(load()), frames(arranged)) > 100


def test_other_renderers_are_used_as_they_are():
    stub = nn.Identity()
    assert open_renderer(lambda keep: stub, Runtime(), CPU) is stub
