"""The command ``sadtalker weights``."""

import json
import wave

import pytest
import torch

from sadtalker_ext.cli.main import main
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.weights.catalog import CATALOG, MAPPING_CROP, MAPPING_FULL, PACKAGED_256


@pytest.fixture(autouse=True)
def no_checkpoints(tmp_path, monkeypatch):
    monkeypatch.delenv("SADTALKER_CHECKPOINTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))


def test_list_prints_size_license_and_location_of_every_file(tmp_path, capsys):
    assert main(["weights", "list", "--folder", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "SadTalker_V0.0.2_256.safetensors  725 MB  Apache-2.0" in out
    assert "not found" in out
    assert str(tmp_path) in out
    assert main(["weights", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 8 + 4
    assert all(row["name"] in out and row["licence"] in out and "path" in row for row in rows)
    assert all(row["url"] in out for row in rows[8:]), "where the files of measures come from"


def test_files_of_measures_are_checked_but_never_fetched(tmp_path, capsys):
    assert main(["weights", "fetch", "syncnet_v2.model", "--yes"]) == 2
    assert "download it from http://www.robots.ox.ac.uk/" in capsys.readouterr().err
    (tmp_path / "syncnet_v2.model").write_bytes(b"<!DOCTYPE html>" * 10)
    assert main(["weights", "check", "--folder", str(tmp_path)]) == 2
    out = capsys.readouterr().out
    assert "BAD     syncnet_v2.model" in out
    assert "backbone.pth" not in out, "a measure that is not used"


def test_nothing_is_downloaded_without_confirmation(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("downloaded"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["weights", "fetch", "--folder", str(tmp_path)]) == 2
    assert "--yes" in capsys.readouterr().err
    assert list(tmp_path.glob("*.part")) == []


def test_fetching_an_unknown_file_lists_the_known_names(capsys):
    assert main(["weights", "fetch", "model.ckpt", "--yes"]) == 2
    assert "SadTalker_V0.0.2_256.safetensors" in capsys.readouterr().err


def test_check_distinguishes_good_bad_and_missing_files(tmp_path, capsys):
    (tmp_path / "SadTalker_V0.0.2_256.safetensors").write_bytes(b"<!DOCTYPE html>" * 10)
    torch.save({"mapping": MappingNet(MappingNetConfig(70)).state_dict()}, tmp_path / "mapping_00229-model.pth.tar")
    assert main(["weights", "check", "--folder", str(tmp_path)]) == 2
    out = capsys.readouterr().out
    assert "BAD     SadTalker_V0.0.2_256.safetensors" in out
    assert "web page" in out
    assert "good    mapping_00229-model.pth.tar" in out
    assert "missing mapping_00109-model.pth.tar" in out
    assert main(["weights", "check", "--json", "--quick", "--folder", str(tmp_path)]) == 2
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mapping_00229-model.pth.tar"]["usable"]


def test_convert_writes_to_the_folder_of_the_pickle(tmp_path, capsys):
    assert main(["weights", "convert", "--folder", str(tmp_path)]) == 2
    torch.save({"mapping": MappingNet(MappingNetConfig(73)).state_dict()}, tmp_path / "mapping_00109-model.pth.tar")
    assert main(["weights", "convert", "--folder", str(tmp_path)]) == 0
    assert (tmp_path / "mapping_00109-model.safetensors").is_file()


def test_check_lists_missing_files_in_one_line_each_and_the_folders_once(tmp_path, capsys):
    assert main(["weights", "check", "--folder", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-2] == [f"missing {entry.name}" for entry in CATALOG]
    assert lines[-2].startswith(f"Searched: {tmp_path}, ")
    assert lines[-1] == "To download missing files: sadtalker weights fetch [NAME...]"


def test_check_of_named_files_fails_if_one_is_missing(tmp_path, capsys):
    torch.save({"mapping": MappingNet(MappingNetConfig(70)).state_dict()}, tmp_path / MAPPING_CROP.name)
    check = ["weights", "check", "--folder", str(tmp_path)]
    assert main([*check, MAPPING_CROP.name]) == 0
    assert MAPPING_FULL.name not in capsys.readouterr().out
    assert main([*check, MAPPING_CROP.name, MAPPING_FULL.name]) == 2
    assert f"missing {MAPPING_FULL.name}\n" in capsys.readouterr().out
    assert main([*check, "model.ckpt"]) == 2
    assert "no checkpoint named model.ckpt" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["make-random", "make-seeded"])
def test_random_checkpoints_never_replace_existing_files(tmp_path, capsys, name):
    (tmp_path / "mapping_00109-model.pth.tar").write_bytes(b"trained")
    assert main(["weights", name, str(tmp_path)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert (tmp_path / "mapping_00109-model.pth.tar").read_bytes() == b"trained"


def test_the_engine_reports_missing_checkpoints(tmp_path, capsys, monkeypatch):
    import numpy as np
    from PIL import Image

    monkeypatch.setenv("SADTALKER_CHECKPOINTS", str(tmp_path / "none"))
    picture, voice = tmp_path / "p.png", tmp_path / "v.wav"
    Image.fromarray(np.zeros((128, 128, 3), np.uint8)).save(picture)
    with wave.open(str(voice), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(32000))
    code = main(["animate", str(picture), str(voice), "--engine", "sadtalker", "-o", str(tmp_path / "o.mp4")])
    assert code == 2
    assert f"sadtalker weights fetch {PACKAGED_256.name} {MAPPING_FULL.name}, or" in capsys.readouterr().err
