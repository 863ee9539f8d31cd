"""Configs in the header of packaged files, and the search for packaged files in folders."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from sadtalker_ext.engines.registry import engine_state
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.dense_motion import DenseMotionConfig
from sadtalker_ext.models.exp_net import ExpNetConfig
from sadtalker_ext.models.generator import GeneratorConfig
from sadtalker_ext.models.keypoint_detector import KeypointDetectorConfig
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.models.pose_vae import PoseVAEConfig
from sadtalker_ext.models.spade import SpadeConfig
from sadtalker_ext.weights import official
from sadtalker_ext.weights.packaged import (
    BFM,
    PACKAGED,
    PUPPET,
    PackagedConfig,
    find_packaged,
    read_packaged_config,
)

NARROW = (2, 2, 4, 4, 6)
CONFIG = PackagedConfig(
    size_px=64,
    coefficients=PUPPET,
    exp_net=ExpNetConfig(audio_widths=NARROW),
    pose_vae=PoseVAEConfig(styles=3, audio_widths=NARROW),
    keypoint_detector=KeypointDetectorConfig(keypoints=5, base_channels=4, max_channels=8, levels=2, depth=2),
    generator=GeneratorConfig(
        4, 16, depth=2, resblocks=1, motion=DenseMotionConfig(5, 8, 2, 4, 8, 2, 2), decoder=SpadeConfig(1, 8)
    ),
)


def write_packaged(folder, config=CONFIG, name=None):
    tensors = {}
    for prefix, make in official.NETWORKS.items():
        if prefix == "face_3drecon.":
            continue
        tensors |= {prefix + key: value.contiguous() for key, value in make(config).state_dict().items()}
    folder.mkdir(exist_ok=True)
    path = folder / (name or config.file_name)
    save_file(tensors, path, config.header())
    return path


def write_mapping(folder, coefficients=70, kind=PUPPET, width=8):
    config = {"coefficients": coefficients, "width": width, "keypoints": 5}
    network = MappingNet(MappingNetConfig(**config))
    path = folder / official.MAPPINGS[coefficients].converted
    save_file(network.state_dict(), path, {"config": json.dumps(config), "coefficients": kind})
    return path


def test_the_config_is_read_back_from_the_header(tmp_path):
    config, trained = read_packaged_config(write_packaged(tmp_path))
    assert trained
    assert config == CONFIG


def test_a_file_without_config_has_the_official_sizes(tmp_path):
    path = tmp_path / PACKAGED[512].name
    save_file({"x": torch.zeros(1)}, path)
    assert read_packaged_config(path) == (PackagedConfig(512), False)
    other = tmp_path / "SadTalker_V0.0.2_128.safetensors"
    save_file({"x": torch.zeros(1)}, other)
    with pytest.raises(WeightsError, match="has no config of its networks"):
        read_packaged_config(other)


def test_networks_of_an_export_load_with_their_own_configs(tmp_path):
    write_packaged(tmp_path)
    networks = official.open_official(256, [tmp_path])
    assert networks.config == CONFIG
    assert networks.exp_net().mapping1.in_features == 6 + 64 + 1
    assert networks.pose_vae().netG.decoder.classbias.shape == (3, 64)
    assert networks.keypoint_detector()(torch.zeros(1, 3, 64, 64)).shape == (1, 5, 3)
    assert networks.generator().config == CONFIG.generator
    with pytest.raises(WeightsError, match=r"has no tensors face_3drecon\."):
        networks.face_recon()


def test_the_first_folder_with_a_packaged_file_is_used(tmp_path):
    mine, published = tmp_path / "mine", tmp_path / "published"
    own = write_packaged(mine)
    published.mkdir()
    save_file({"x": torch.zeros(1)}, published / PACKAGED[256].name)
    assert find_packaged(256, [mine, published]) == own
    assert find_packaged(512, [mine, published]) == own
    assert find_packaged(256, [published, mine]) == published / PACKAGED[256].name
    assert find_packaged(512, [published, mine]) == own, "the folder published has no file for 512"
    assert find_packaged(256, [tmp_path / "nowhere"]) is None
    assert official.open_official(256, [mine, published]).mapping_folders == [mine]
    write_packaged(mine, replace(CONFIG, size_px=128))
    with pytest.raises(WeightsError, match="several trained checkpoints"):
        find_packaged(256, [mine])


def test_a_mapping_must_use_the_coefficients_of_the_other_networks(tmp_path):
    path = write_mapping(tmp_path)
    assert official.open_mapping(70, [tmp_path], PUPPET).config == MappingNetConfig(70, width=8, keypoints=5)
    with pytest.raises(WeightsError, match="maps coefficients of kind 'puppet', but the other networks use 'bfm'"):
        official.open_mapping(70, [tmp_path], BFM)
    path.rename(tmp_path / official.MAPPINGS[73].converted)
    with pytest.raises(WeightsError, match="maps 70 coefficients, not 73"):
        official.open_mapping(73, [tmp_path], PUPPET)


def test_the_engine_state_describes_an_export(tmp_path):
    write_packaged(tmp_path)
    state = engine_state("sadtalker", [tmp_path])
    assert not state.ready
    assert "needs mapping_00229-model.safetensors and mapping_00109-model.safetensors" in state.message
    for count in (70, 73):
        write_mapping(tmp_path, count)
    state = engine_state("sadtalker", [tmp_path])
    assert state.ready
    assert state.message.startswith("Trained networks for 64 pixels")
    assert state.references == ("eyes", "pose", "eyes+pose"), "shapes of another face cannot be copied"
    (tmp_path / "SadTalker_V0.0.2_96.safetensors").write_bytes(b"broken")
    assert "several trained" in engine_state("sadtalker", [tmp_path]).message
