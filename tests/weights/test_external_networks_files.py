"""Loading public checkpoints of Wav2Lip and of lip readers: strict keys, clear refusals."""

import json

import pytest
import torch
from safetensors.torch import save_file

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.lip_reader import LipReader, LipReaderConfig
from sadtalker_ext.models.wav2lip import Wav2Lip
from sadtalker_ext.weights.external_networks import load_lip_reader, load_wav2lip


@pytest.fixture(scope="module")
def wav2lip():
    torch.manual_seed(0)
    return Wav2Lip().eval()


def test_a_public_wav2lip_checkpoint_loads(tmp_path, wav2lip):
    path = tmp_path / "wav2lip.pth"
    state = {f"module.{key}": value for key, value in wav2lip.state_dict().items()}
    torch.save({"state_dict": state, "optimizer": None, "global_step": 7, "global_epoch": 1}, path)
    mel, faces = torch.randn(1, 1, 80, 16), torch.rand(1, 6, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(load_wav2lip(path)(mel, faces), wav2lip(mel, faces), rtol=1e-4, atol=1e-5)
    del state["module.output_block.1.bias"]
    torch.save({"state_dict": state}, path)
    with pytest.raises(WeightsError, match=r"lacks output_block\.1\.bias"):
        load_wav2lip(path)
    torch.save({"model": state}, path)
    with pytest.raises(WeightsError, match="no state dict named 'state_dict'"):
        load_wav2lip(path)


def test_a_lip_reader_loads_with_its_published_configuration(tmp_path):
    torch.manual_seed(1)
    reader = LipReader(LipReaderConfig((4, 4, 8, 8), "relu")).eval()
    path = tmp_path / "reader.safetensors"
    tail = {"tcn.tcn_output.weight": torch.zeros(5, 8)}
    save_file({**{key: value.contiguous() for key, value in reader.state_dict().items()}, **tail}, path)
    config = {"backbone_type": "resnet", "relu_type": "relu", "widths": [4, 4, 8, 8], "tcn_type": "dctcn"}
    path.with_suffix(".json").write_text(json.dumps(config))
    mouths = torch.rand(1, 5, 88, 88)
    with torch.no_grad():
        torch.testing.assert_close(load_lip_reader(path)(mouths), reader(mouths))
    path.with_suffix(".json").write_text(json.dumps({**config, "backbone_type": "shufflenet"}))
    with pytest.raises(WeightsError, match="kind 'shufflenet'"):
        load_lip_reader(path)
    path.with_suffix(".json").write_text(json.dumps({**config, "widths": None}))
    with pytest.raises(WeightsError, match=r"field widths in the config of .*reader\.json is null"):
        load_lip_reader(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"reader\.json does not describe a lip reader"):
        load_lip_reader(path)
