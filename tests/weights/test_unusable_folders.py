"""Folders of checkpoints whose names the system cannot use."""

import pytest

from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.files import FOLDER_VARIABLE, find_file, search_folders, user_cache_folder

TOO_LONG = "1" * 400


@pytest.mark.parametrize("folder", [TOO_LONG, "~no such user/x"])
def test_a_chosen_folder_that_cannot_be_searched_is_named(monkeypatch, capsys, folder):
    monkeypatch.setenv(FOLDER_VARIABLE, folder)
    with pytest.raises(WeightsError, match=f"cannot be searched for checkpoints .*{FOLDER_VARIABLE}"):
        search_folders()
    assert main(["weights", "list"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("sadtalker: The folder ")
    assert message.count("\n") == 1


def test_a_user_cache_that_cannot_be_searched_has_no_files(monkeypatch, capsys):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", f"/{TOO_LONG}")
    monkeypatch.setattr("sys.platform", "linux")
    assert find_file("a.pth", search_folders()) is None
    assert TOO_LONG in str(user_cache_folder())
    assert main(["weights", "check", "--quick"]) == 0
    assert "missing SadTalker_V0.0.2_256.safetensors\n" in capsys.readouterr().out


def test_a_folder_that_does_not_exist_yet_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "new" / "folder"))
    assert search_folders()[0] == tmp_path / "new" / "folder"
