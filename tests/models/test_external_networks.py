"""Wav2Lip and the lip reader: keys and shapes of the public checkpoints, and the inputs the outputs depend on."""

import json
from pathlib import Path

import pytest
import torch

from sadtalker_ext.models.audio_encoder import AUDIO_WIDTHS, encoder_layers
from sadtalker_ext.models.exp_net import ExpNet, ExpNetConfig
from sadtalker_ext.models.lip_reader import LipReader, LipReaderConfig
from sadtalker_ext.models.pose_vae import PoseVAE, PoseVAEConfig
from sadtalker_ext.models.wav2lip import Wav2Lip, Wav2LipConfig, mask_lower_half

MANIFESTS = json.loads((Path(__file__).parent / "public_keys.json").read_text(encoding="utf-8"))
NARROW = (2, 2, 4, 4, 6)


@pytest.mark.parametrize(("name", "make"), [("wav2lip", Wav2Lip), ("lip_reader", LipReader)])
def test_state_dict_is_the_public_one(name, make):
    with torch.device("meta"):
        network = make()
    ours = {key: [str(value.dtype).removeprefix("torch."), *value.shape] for key, value in network.state_dict().items()}
    assert ours == MANIFESTS[name]


def narrow_wav2lip():
    return Wav2Lip(Wav2LipConfig((2, 2, 4, 4, 4, 6, 6), (2, 3, 2, 2, 1), (6, 6, 6, 4, 4, 4, 4), 4, NARROW)).eval()


def test_wav2lip_input_has_the_upper_half_and_the_reference_only():
    torch.manual_seed(0)
    network, mel, faces = narrow_wav2lip(), torch.randn(2, 1, 80, 16), torch.rand(2, 3, 96, 96)
    hidden = mask_lower_half(faces)
    assert torch.equal(hidden[:, 3:], faces)
    assert torch.equal(hidden[:, :3, :48], faces[:, :, :48])
    assert hidden[:, :3, 48:].abs().max() == 0
    with torch.no_grad():
        out, other = network(mel, hidden), network(mel + 1, hidden)
    assert out.shape == (2, 3, 96, 96)
    assert 0 < out.min() < out.max() < 1
    assert not torch.equal(out, other), "the output depends on the audio"


def test_the_lip_reader_has_a_context_of_two_frames_on_each_side():
    torch.manual_seed(0)
    reader = LipReader(LipReaderConfig((4, 4, 8, 8), "swish")).eval()
    mouths = torch.rand(1, 9, 88, 88)
    changed = mouths.clone()
    changed[:, 4] = 0
    with torch.no_grad():
        moved = (reader(mouths) - reader(changed)).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.tolist() == [False, False, True, True, True, True, True, False, False]


def test_narrow_audio_encoders_have_the_same_layers():
    narrow, wide = encoder_layers(NARROW), encoder_layers(AUDIO_WIDTHS)
    assert list(narrow.state_dict()) == list(wide.state_dict())
    assert narrow(torch.zeros(3, 1, 80, 16)).shape == (3, 6, 1, 1)
    assert wide(torch.zeros(3, 1, 80, 16)).shape == (3, 512, 1, 1)


def test_narrow_speech_networks_have_outputs_of_the_same_shape():
    mel = torch.zeros(2, 32, 1, 80, 16)
    exp_net = ExpNet(ExpNetConfig(audio_widths=NARROW))
    assert exp_net(mel, torch.zeros(2, 32, 64), torch.zeros(2, 32, 1)).shape == (2, 32, 64)
    pose_vae = PoseVAE(PoseVAEConfig(audio_widths=NARROW, styles=3))
    sample = pose_vae(mel, torch.zeros(2, 6), torch.tensor([0, 2]), torch.zeros(2, 32, 6))
    assert sample.motion.shape == (2, 32, 6)
