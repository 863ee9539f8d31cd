"""Small networks of the engine sadtalker with random weights, and stubs in place of its renderer."""

import torch

from sadtalker_ext.engines.sadtalker import engine as sadtalker
from sadtalker_ext.models.exp_net import ExpNet
from sadtalker_ext.models.face_recon import FaceRecon, FaceReconConfig
from sadtalker_ext.models.folding import fold
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.models.pose_vae import PoseVAE
from sadtalker_ext.weights.packaged import PackagedConfig
from sadtalker_ext.weights.random_weights import random_state


class StubGenerator(torch.nn.Module):
    """Shows the source, brighter the more the keypoints have moved."""

    def encode_source(self, image):
        return image

    def render(self, encoded, source, driving):
        moved = (driving - source).abs().mean(dim=(1, 2))
        return (encoded * (1 + moved[:, None, None, None])).clamp(0, 1)


class StubKeypoints(torch.nn.Module):
    def forward(self, image):
        return torch.linspace(-0.8, 0.8, 45).reshape(1, 15, 3).expand(len(image), -1, -1)


def with_random_weights(prefix, network):
    network.load_state_dict(random_state(prefix, network))
    return fold(network)


class SmallNetworks:
    """Sound networks as they are, the others small or stubs."""

    config, name, mapping_folders = PackagedConfig(), "SadTalker_V0.0.2_256.safetensors", ()

    def __init__(self):
        self.exp = with_random_weights("audio2exp.", ExpNet())
        self.pose = with_random_weights("audio2pose.", PoseVAE())
        self.recon = with_random_weights("face_3drecon.", FaceRecon(FaceReconConfig(blocks=(1, 1), widths=(8, 16))))

    def use(self, monkeypatch):
        """Let the engine open these networks and a small MappingNet."""
        monkeypatch.setattr(sadtalker, "open_official", lambda size, folders, coefficients: self.of_size(size))
        monkeypatch.setattr(
            sadtalker, "open_mapping",
            lambda count, folders, kind: with_random_weights("mapping.", MappingNet(MappingNetConfig(count, width=32))),
        )  # fmt: skip

    def of_size(self, size):
        self.config = PackagedConfig(size)
        return self

    def exp_net(self):
        return self.exp

    def pose_vae(self):
        return self.pose

    def face_recon(self):
        return self.recon

    def keypoint_detector(self):
        return StubKeypoints()

    def generator(self, keep=()):
        return StubGenerator()
