"""The file of the pose VAE: round trip, its header, refusal of a file that does not fit, the one that ships."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.pose_cvae import Config, PoseCvae
from sadtalker_ext.weights.starter_pose import STARTER_POSE_VAE, load_pose_vae, save_pose_vae


@pytest.fixture
def saved(tmp_path: Path):
    torch.manual_seed(0)
    network = PoseCvae(Config(styles=("a", "b"), width=16))
    path = tmp_path / "pose.safetensors"
    save_pose_vae(network, path, {"recipe": "pose_vae", "commit": "abc"})
    return network, path


def test_round_trip_keeps_config_and_weights_to_half_precision(saved):
    network, path = saved
    loaded = load_pose_vae(path)
    assert loaded.config == network.config
    for name, value in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    assert not loaded.training
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    assert header["recipe"] == "pose_vae"
    assert json.loads(header["config"])["styles"] == ["a", "b"]
    assert [file.name for file in path.parent.iterdir()] == ["pose.safetensors"]


def test_a_config_that_does_not_fit_its_tensors_is_refused(saved, tmp_path: Path):
    network, _ = saved
    other = PoseCvae(Config(styles=("a", "b"), width=32))
    other.config = network.config
    save_pose_vae(other, tmp_path / "odd.safetensors", {})
    with pytest.raises(WeightsError, match="does not fit"):
        load_pose_vae(tmp_path / "odd.safetensors")


def test_the_shipped_file_is_small_and_says_where_it_comes_from():
    assert STARTER_POSE_VAE.stat().st_size < 1.5e6
    with safe_open(STARTER_POSE_VAE, framework="pt") as file:
        header = file.metadata()
    assert {"recipe", "data", "commit", "plan", "config", "sha256"} <= set(header)
    assert "Synthetic" in header["data"]
    network = load_pose_vae()
    assert len(network.config.styles) >= 8
    assert all(np.isfinite(value.numpy()).all() for value in network.state_dict().values())
