"""Search for checkpoints in folders, and the catalog."""

import pytest

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.catalog import (
    CATALOG,
    MAPPING_CROP,
    MAPPING_FULL,
    PACKAGED_256,
    download_url,
    find_catalog_entry,
)
from sadtalker_ext.weights.errors import MissingCheckpointError
from sadtalker_ext.weights.files import (
    find_checkpoint,
    find_file,
    require_checkpoint,
    require_checkpoints,
    search_folders,
    user_cache_folder,
)


def test_folders_are_searched_in_order(tmp_path, monkeypatch):
    named, given, host = (tmp_path / name for name in ("named", "given", "host"))
    monkeypatch.setenv("SADTALKER_CHECKPOINTS", str(given))
    assert search_folders([named], host) == (named, given, host, user_cache_folder())


def test_the_first_folder_wins_and_symlinks_are_followed(tmp_path):
    first, second, store = (tmp_path / name for name in ("first", "second", "store"))
    for folder in (first, second, store):
        folder.mkdir()
    (store / "blob").write_bytes(b"x")
    (second / PACKAGED_256.name).write_bytes(b"y")
    (first / PACKAGED_256.name).symlink_to(store / "blob")
    found = find_checkpoint(PACKAGED_256, [tmp_path / "absent", first, second])
    assert found == first / PACKAGED_256.name
    assert found.read_bytes() == b"x"


def test_a_broken_symlink_is_reported(tmp_path):
    (tmp_path / "model").symlink_to(tmp_path / "gone")
    with pytest.raises(WeightsError, match=r"is a link to .*gone"):
        find_file("model", [tmp_path])


def test_the_converted_file_is_preferred(tmp_path):
    (tmp_path / MAPPING_CROP.name).write_bytes(b"p")
    (tmp_path / MAPPING_CROP.converted).write_bytes(b"s")
    assert find_checkpoint(MAPPING_CROP, [tmp_path]).name == MAPPING_CROP.converted


@pytest.mark.parametrize("ending", ["\u200b", " ", "\u00a0", "\r", ".txt", " (1)"])
def test_similar_names_are_reported(tmp_path, ending):
    (tmp_path / (PACKAGED_256.name + ending)).write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"rename it to exactly SadTalker_V0\.0\.2_256\.safetensors"):
        require_checkpoint(PACKAGED_256, [tmp_path])


def test_all_missing_checkpoints_are_named_with_one_command(tmp_path):
    (tmp_path / MAPPING_CROP.name).write_bytes(b"x")
    entries = [PACKAGED_256, MAPPING_CROP, MAPPING_FULL]
    with pytest.raises(MissingCheckpointError) as caught:
        require_checkpoints(entries, [tmp_path, tmp_path / "other"])
    assert f"fetch {PACKAGED_256.name} {MAPPING_FULL.name}, or put the files into one of them" in str(caught.value)
    with pytest.raises(MissingCheckpointError, match="put the file into that folder"):
        require_checkpoint(PACKAGED_256, [tmp_path])
    for entry in entries:
        (tmp_path / entry.name).write_bytes(b"x")
    assert require_checkpoints(entries, [tmp_path]) == [tmp_path / entry.name for entry in entries]


def test_catalog_entries_are_complete():
    for entry in CATALOG:
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.size_bytes > 1e6
        assert download_url(entry).endswith("/" + entry.name)
        assert find_catalog_entry(entry.name) is entry
    with pytest.raises(WeightsError, match="no mirror named"):
        download_url(PACKAGED_256, "nowhere")
    with pytest.raises(WeightsError, match="no checkpoint named"):
        find_catalog_entry("model.bin")
