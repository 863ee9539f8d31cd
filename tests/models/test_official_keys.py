"""The networks' state dicts are the public format of the official checkpoints."""

import json
from pathlib import Path

import pytest
import torch

from sadtalker_ext.models.exp_net import ExpNet
from sadtalker_ext.models.face_recon import FaceRecon
from sadtalker_ext.models.generator import Generator
from sadtalker_ext.models.head_estimator import HeadEstimator
from sadtalker_ext.models.keypoint_detector import KeypointDetector
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.models.pose_vae import PoseVAE

MANIFESTS = json.loads((Path(__file__).parent / "official_keys.json").read_text(encoding="utf-8"))
NETWORKS = {
    "audio2exp": ExpNet,
    "audio2pose": PoseVAE,
    "face_3drecon": FaceRecon,
    "mapping_70": MappingNet,
    "mapping_73": lambda: MappingNet(MappingNetConfig(coefficients=73)),
    "kp_extractor": KeypointDetector,
    "generator": Generator,
    "he_estimator": HeadEstimator,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_is_the_official_one(name):
    with torch.device("meta"):
        network = NETWORKS[name]()
    ours = {key: [str(value.dtype).removeprefix("torch."), *value.shape] for key, value in network.state_dict().items()}
    assert ours == MANIFESTS[name]
