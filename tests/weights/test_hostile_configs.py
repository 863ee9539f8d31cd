"""Configs and pickles that ask for more than their files contain, or that torch's unpickler cannot execute."""

import json

import pytest
import torch
from safetensors.torch import save_file

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.config_json import LARGEST_INTEGER
from sadtalker_ext.weights.safetensors_file import allocation_limit, tensors_sha256
from sadtalker_ext.weights.starter import LIP_MOTION_KIND, load_lip_motion
from sadtalker_ext.weights.state_dict import read_pickle


def lip_motion_file(path, config):
    tensors = {"taps.weight": torch.zeros(10, 1152)}
    save_file(tensors, path, {"kind": LIP_MOTION_KIND, "sha256": tensors_sha256(tensors), "config": json.dumps(config)})
    return path


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"width": 1 << 70}, f"an integer up to {LARGEST_INTEGER}"), ({"mean_frames": -(10**9)}, "an integer up to"),
        ({"gate": float("nan")}, "a finite number"), ({"gate": 10**400}, "must be float"),
        ({"gate": float("inf")}, "finite"),
        ({"width": LARGEST_INTEGER, "reach": 4000}, "larger than its tensors"), ({"width": 300}, "size mismatch"),
        ({"width": -1}, "negative"), ({"slow_frames": -1}, "slow_frames is -1"),
        ({"slow_frames": 60_000}, "slow_frames is 60000; the largest is 250"), ({"slow_frames": 5}, "size mismatch"),
        ({"members": -1}, "members and units are -1"), ({"members": 4000}, "largest product is 1024"),
        ({"members": 2}, "larger than its tensors|[Mm]issing"),
    ],
)  # fmt: skip
def test_a_config_with_impossible_sizes_is_refused(tmp_path, config, reason):
    path = lip_motion_file(tmp_path / "lips.safetensors", config)
    with pytest.raises(WeightsError, match=reason) as refused:
        load_lip_motion(path)
    assert len(str(refused.value)) < 800


def test_a_valid_config_is_accepted(tmp_path):
    assert load_lip_motion(lip_motion_file(tmp_path / "lips.safetensors", {})).config.width == 288


def test_the_limit_counts_all_tensors():
    with allocation_limit(100):
        torch.zeros(60)
        with pytest.raises(ValueError, match="larger than its tensors"):
            torch.zeros(60)
    torch.zeros(1000)


@pytest.mark.parametrize("content", [b"", b"\x80\x02M", b"\x80\x02.", b"\x80\x02}(u.", b"\x80\x02X\xff\xff\xff\x7f"])
def test_damaged_pickles_are_refused(tmp_path, content):
    path = tmp_path / "restorer.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="fetch it again"):
        read_pickle(path)


def test_a_zip_file_of_several_disks_is_refused(tmp_path):
    """zipfile.is_zipfile raises an error for this one in some versions of Python."""
    path = tmp_path / "restorer.pth"
    torch.save({"weight": torch.ones(2)}, path)
    content = bytearray(path.read_bytes())
    locator = content.rfind(b"PK\x06\x07")
    end = content.rfind(b"PK\x05\x06")
    assert end > 0
    if locator > 0:
        content[locator + 16 : locator + 20] = b"\2\0\0\0"
    content[end + 4 : end + 8] = b"\1\0\1\0"
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        read_pickle(path)
