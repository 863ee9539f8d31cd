"""``sadtalker train check DATA RUN``: exported weights against the training state, data, and predicted motion."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from talking_clips import write_talking

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.exp_net import ExpNet, ExpNetConfig
from sadtalker_ext.training.clips.data_digest import describe_clips
from sadtalker_ext.training.sadtalker.audio_windows import speech_model_size
from sadtalker_ext.training.sadtalker.check_run import check_run
from sadtalker_ext.training.sadtalker.exp_net import FILE_NAME, KIND
from sadtalker_ext.weights.safetensors_file import save_network


@pytest.fixture
def run(tmp_path):
    """A folder with a data set and a run of ExpNet, whose lips follow the sound and whose export equals its state."""
    write_talking(tmp_path / "data")
    torch.manual_seed(0)
    network = ExpNet(ExpNetConfig(audio_widths=speech_model_size("tiny").audio_widths)).eval()
    with torch.no_grad():
        network.mapping1.weight.mul_(3)
        for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.running_var.fill_(0.05)
    folder = tmp_path / "run" / "exp_net"
    folder.mkdir(parents=True)
    save_state(folder, network)
    save_network(folder / FILE_NAME, network, KIND, {"coefficients": "puppet"})
    return folder, network


def save_state(folder, network, **record):
    state = {key: value.clone() for key, value in network.state_dict().items()}
    content = {"averages": {"exp_net": state}, "networks": {"exp_net": state}, "record": json.dumps(record)}
    torch.save({"done": 3, **content}, folder / "checkpoint.pt")


def found(folder, data):
    return {finding.check: dict(finding.places) for finding in check_run(folder, data)}


def test_a_run_whose_export_equals_its_state_has_no_problem(run, tmp_path):
    folder, _ = run
    assert found(folder, tmp_path / "data") == {}
    assert found(folder.parent, tmp_path / "data") == {}, "the folder of train all"


def test_weights_that_were_trained_further_than_the_export_are_found(run, tmp_path):
    folder, network = run
    with torch.no_grad():
        network.mapping1.weight[3, 5] += 0.5
    save_state(folder, network)
    problem = found(folder, tmp_path / "data")["run"]
    assert "mapping1.weight differs by" in problem["exp_net/exp_net.safetensors"] or "predicted lips" in str(problem)


def test_an_older_export_for_the_engine_is_found(run, tmp_path):
    folder, network = run
    export = folder.parent / "export"
    export.mkdir()
    tensors = {f"audio2exp.{key}": value.clone() for key, value in network.state_dict().items()}
    save_file(tensors, export / "SadTalker_V0.0.2_32.safetensors")
    assert found(folder.parent, tmp_path / "data") == {}
    tensors["audio2exp.mapping1.bias"] += 0.1
    save_file(tensors, export / "SadTalker_V0.0.2_32.safetensors")
    places = found(folder.parent, tmp_path / "data")["run"]
    assert list(places) == ["export/SadTalker_V0.0.2_32.safetensors (audio2exp.*)"]
    assert "mapping1.bias differs" in next(iter(places.values()))
    del tensors["audio2exp.mapping1.bias"]
    save_file(tensors, export / "SadTalker_V0.0.2_32.safetensors")
    assert "of no network in the training state" in str(found(folder.parent, tmp_path / "data")["run"])


def test_a_run_of_other_data_is_found(run, tmp_path):
    folder, _ = run
    path = folder / FILE_NAME
    with safe_open(path, "pt") as file:
        header = {**file.metadata(), "coefficients": "bfm"}
    save_file(load_file(path), path, header)
    assert found(folder, tmp_path / "data")["run"] == {"exp_net/exp_net.safetensors": "coefficients bfm, data puppet"}


def test_a_run_of_other_clips_is_found(run, tmp_path):
    folder, network = run
    save_state(folder, network, data=describe_clips(tmp_path / "data"))
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    assert found(folder, tmp_path / "copy") == {}
    shard = tmp_path / "copy" / "train-000000.tar"
    content = bytearray(shard.read_bytes())
    content[4000] ^= 1  # a coefficient of the first clip
    shard.write_bytes(content)
    measured = found(folder, tmp_path / "copy")["run"]["exp_net"]
    assert measured == f"trained on {describe_clips(tmp_path / 'data')}; these are {describe_clips(tmp_path / 'copy')}"


def test_predictions_without_motion_are_found(run, tmp_path):
    folder, network = run
    with torch.no_grad():
        network.mapping1.weight.zero_()
    save_state(folder, network)
    save_network(folder / FILE_NAME, network, KIND, {"coefficients": "puppet"})
    assert set(found(folder, tmp_path / "data")) == {"no_motion"}


def test_damaged_and_missing_states_are_named(run, tmp_path):
    folder, _ = run
    (folder / "checkpoint.pt").write_bytes(b"nothing")
    assert "checkpoint.pt" in found(folder, tmp_path / "data")["run"]["exp_net"]
    shutil.rmtree(folder)
    with pytest.raises(WeightsError, match=r"has no checkpoint\.pt; name the folder of a run"):
        check_run(folder.parent, tmp_path / "data")
