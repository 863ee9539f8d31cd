"""Random weights against published check values."""

import numpy as np
import pytest
import torch

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.spade import SpadeBlock
from sadtalker_ext.weights.random_weights import make_random_weights, random_state, random_tensor, uniform


def test_published_check_values():
    first = random_tensor("generator.first.conv.weight", (64, 3, 3, 3)).reshape(-1)[:4]
    assert np.allclose(first, [0.32947710, -0.23939061, 0.11598021, -0.04475090], atol=1e-7)
    variance = random_tensor("generator.first.norm.running_var", (64,))[:2]
    assert np.allclose(variance, [1.99227333, 2.15836859], atol=1e-6)
    bias = random_tensor("audio2exp.mapping1.bias", (64,))[:2]
    assert np.allclose(bias, [0.13243516, 0.15518354], atol=1e-7)
    image = uniform("in.image256", (1, 3, 256, 256)).reshape(-1)[:2]
    assert np.allclose(image, [0.32145339, 0.51390243], atol=1e-7)


def test_spectral_vectors_belong_to_the_largest_singular_value():
    block = SpadeBlock(256, 64, 256, 128)
    block.load_state_dict(random_state("generator.decoder.up_1.", block))
    weight = block.conv_s.weight_orig.flatten(1)
    sigma = block.conv_s.weight_u @ weight @ block.conv_s.weight_v
    assert abs(sigma.item() - 1.498416781425476) < 1e-5
    assert abs(sigma.item() - torch.linalg.matrix_norm(weight, 2).item()) < 1e-2
    assert np.allclose(block.conv_s.weight_u[:3].detach(), [-0.00286585, 0.21397440, -0.11995244], atol=1e-6)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for folder in (tmp_path / "file", tmp_path / "file" / "new"):
        with pytest.raises(WeightsError, match="cannot be created"):
            make_random_weights(folder)
