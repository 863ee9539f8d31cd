"""Loading official checkpoints: strict keys, single conversion, no code execution."""

import pickle
import struct

import pytest
import torch
from safetensors import safe_open
from sparse_files import write_sparse

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights import official
from sadtalker_ext.weights.catalog import PACKAGED_SIZE_BYTES
from sadtalker_ext.weights.check import check_checkpoint
from sadtalker_ext.weights.state_dict import read_pickle


def check(path, count=None):
    entry = official.PACKAGED[256] if count is None else official.MAPPINGS[count]
    return check_checkpoint(entry, [path.parent])


def test_a_packaged_file_has_the_published_size_to_the_byte(packaged):
    assert packaged.stat().st_size == PACKAGED_SIZE_BYTES


def test_every_network_of_a_packaged_file_loads_folded(packaged):
    networks = official.open_official(256, [packaged.parent])
    opened = (networks.exp_net(), networks.pose_vae(), networks.face_recon(), networks.keypoint_detector())
    for network in opened:
        assert not network.training
        assert not any(parameter.is_meta or parameter.requires_grad for parameter in network.parameters())
    assert not hasattr(opened[1].netG, "encoder")
    assert not hasattr(opened[1], "netD_motion")


def test_training_parts_may_be_missing(tmp_path, template):
    kept = {key: value for key, value in template.items() if not key.startswith(official.NOT_FOR_INFERENCE)}
    path = write_sparse(tmp_path / official.PACKAGED[256].name, kept)
    assert official.open_official(256, [tmp_path]).pose_vae().netG.decoder is not None
    assert check(path).usable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("generator.first.conv.weight"), "lacks first.conv.weight"),
        (lambda t: t.update({"generator.extra": t["generator.first.conv.bias"]}), "has extra keys extra"),
        (lambda t: t.update({"x_generator_ema.foo": t["generator.first.conv.bias"]}), "has extra keys x_gen"),
        (lambda t: t.update({"generator.first.conv.bias": torch.empty(65, device="meta")}), "shape (65,), not (64,)"),
    ],
)
def test_wrong_keys_are_named(tmp_path, template, change, message):
    changed = dict(template)
    change(changed)
    path = write_sparse(tmp_path / official.PACKAGED[256].name, changed)
    result = check(path)
    assert message in result.problem
    assert str(path) in result.problem
    with pytest.raises(WeightsError) as refused:
        official.open_official(256, [tmp_path]).generator()
    assert message in str(refused.value)


def test_a_missing_file_is_reported_with_folder_and_remedy(tmp_path):
    result = check(tmp_path / official.PACKAGED[256].name)
    assert not result.usable
    assert str(tmp_path) in result.problem
    assert "sadtalker weights fetch SadTalker_V0.0.2_256.safetensors" in result.problem


def test_a_truncated_file_is_reported_with_its_size(packaged):
    with packaged.open("r+b") as file:
        file.truncate(100_000_000)
    assert "truncated: 100,000,000 of 725,066,984 bytes" in check(packaged).problem


def test_a_file_that_is_too_long_is_reported(packaged):
    with packaged.open("ab") as file:
        file.write(b"more")
    assert "4 bytes longer" in check(packaged).problem


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>Not found</html>" * 10, "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS"),
        (struct.pack("<Q", 20) + b"{not json at all}   ", "not a safetensors file"),
        (b"\xff" * 64, "not a safetensors file"),
    ],
)
def test_files_that_are_not_checkpoints_are_described(tmp_path, content, message):
    path = tmp_path / official.PACKAGED[256].name
    path.write_bytes(content)
    assert message in check(path).problem


class Attack:
    """An object that creates a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.filterwarnings("error")
def test_truncated_and_unsafe_pickles_are_refused_without_warnings(tmp_path):
    path = tmp_path / official.MAPPINGS[70].name
    torch.save({"mapping": {"a": torch.zeros(20000)}}, path)
    path.write_bytes(path.read_bytes()[:50000])
    with pytest.raises(WeightsError, match="truncated, its end is missing"):
        read_pickle(path)
    path.write_bytes(pickle.dumps({"mapping": slice(1)}))
    with pytest.raises(WeightsError, match="no code in it was executed"):
        read_pickle(path)


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, save):
    path, target = tmp_path / official.MAPPINGS[70].name, tmp_path / "executed"
    save({"mapping": Attack(target), "epoch": 1}, path)
    problem = check(path, 70).problem
    assert "no code in it was executed" in problem
    assert not target.exists()
    with pytest.raises(WeightsError):
        official.open_mapping(70, [tmp_path])
    assert not target.exists()


def test_a_mapping_pickle_is_converted_once_in_its_folder(tmp_path, mapping_state):
    path = tmp_path / official.MAPPINGS[70].name
    mapping_state["fc_yaw.bias"] += torch.arange(66)
    torch.save({"mapping": mapping_state, "optimizer_mapping": {"state": {0: torch.zeros(3)}}, "epoch": 7}, path)
    official.open_mapping(70, [tmp_path])
    converted = tmp_path / official.MAPPINGS[70].converted
    with safe_open(converted, "pt") as file:
        assert file.metadata()["kind"] == "sadtalker-mapping"
        assert '"coefficients": 70' in file.metadata()["config"]
    path.unlink()
    network = official.open_mapping(70, [tmp_path])
    assert network.fc_yaw.bias[5] == 5
    assert check(path, 70).usable


def test_mappings_of_the_two_modes_are_not_confused(tmp_path, mapping_state):
    path = tmp_path / official.MAPPINGS[73].name
    torch.save({"mapping": mapping_state, "epoch": 1}, path)
    assert "shape (1024, 70, 7), not (1024, 73, 7)" in check(path, 73).problem


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 1}, "no state dict named 'mapping'; it contains epoch"),
        ([1], "contains a list"),
        (b"PK junk", "cannot be"),
    ],
)
def test_pickles_without_the_network_are_described(tmp_path, content, message):
    path = tmp_path / official.MAPPINGS[70].name
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    problem = check(path, 70).problem
    assert message in problem or "not loaded" in problem


def test_the_old_layout_is_used_for_256_without_a_packaged_file(tmp_path, template):
    def part(prefix):
        found = {key.removeprefix(prefix): value for key, value in template.items() if key.startswith(prefix)}
        return {key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in found.items()}

    files = {}
    for prefix, (entry, name) in official.OLD_LAYOUT.items():
        files.setdefault(entry.name, {"epoch": 3})[name] = part(prefix)
    for name, content in files.items():
        torch.save(content, tmp_path / name)
    networks = official.open_official(256, [tmp_path])
    assert networks.exp_net().mapping1.weight.shape == (64, 577)
    assert networks.keypoint_detector().kp.weight.shape == (15, 32, 3, 3, 3)
    with pytest.raises(WeightsError, match="512"):
        official.open_official(512, [tmp_path])
