"""Files of settings in JSON: what is read, and what is refused without a traceback or an endless wait."""

import argparse
import json
import os
from pathlib import Path

import pytest

from sadtalker_ext.cli.setting_flags import (
    MAX_JSON_BYTES,
    add_runtime,
    add_settings,
    read_runtime,
    read_settings,
    read_settings_file,
)
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.settings import Settings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_accepted(tmp_path, encoding):
    path = tmp_path / "a.json"
    path.write_text('{"seed": 7}', encoding)
    assert read_settings_file(path) == Settings(seed=7)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({"face": "\N{SUPERSCRIPT TWO}"}), "The setting face is"),
        (json.dumps({"seed": "--5"}), "The setting seed is '--5'"), (json.dumps({"seed": "+-5"}), "The setting seed"),
        ('{"seed": 1e999}', "The setting seed is inf"), ('{"yaw": [NaN]}', "The setting yaw"),
        ('{"face": ' + "[" * 100_000, "nested too deep"), ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested too deep"),
        ('{"seed": ' + "9" * 5000 + "}", "not valid JSON"), ('{"engine": "\\ud800"}', "The setting engine"),
        ("[]", "must be a JSON object"), ("null", "must be a JSON object"), ("", "not valid JSON"),
        (b"\xff\xfe{\x00}\x00", "cannot be read"), (b" " * (MAX_JSON_BYTES + 1), "larger than 1 MB"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_invalid_settings_are_refused(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsError, match=message):
        read_settings_file(path)


def test_the_flag_of_an_integer_accepts_one_sign(program):
    assert "The setting seed is '--5'" in program.refused("animate", "p.png", "v.wav", "--seed=--5")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_folders_and_pipes_are_refused(tmp_path):
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("folder.json", "pipe.json"):
        with pytest.raises(SettingsError, match=f"{name} is not a regular file"):
            read_settings_file(tmp_path / name)


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    add_settings(parser)
    add_runtime(parser)
    options = parser.parse_args(arguments)
    return read_settings(options), read_runtime(options)


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """Two run folders with a network each, of which the first also has one of the name in the second."""
    for name in ("a/lips.bin", "a/pose.bin", "b/pose.bin", "b/voice.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_in_several_folders_are_stored_by_name(networks):
    settings, runtime = parsed("--weights", "a/lips.bin, b/voice.bin", "--folder", "c")
    assert settings.weights == "lips.bin,voice.bin"
    assert runtime.folders == (Path("a"), Path("b"), Path("c"))


def test_a_file_in_the_current_folder_is_found(networks, monkeypatch):
    monkeypatch.chdir(networks / "b")
    assert parsed("--weights", "pose.bin")[1].folders == (Path(),)
    assert parsed("--weights", "none.bin")[1].folders == ()


def test_a_file_that_an_earlier_folder_hides_is_refused(networks):
    with pytest.raises(SettingsError, match=r"b/pose.bin cannot be used together .* there is a/pose.bin too"):
        parsed("--weights", "a/lips.bin,b/pose.bin")


@pytest.mark.parametrize("value", ["../a.bin", "a\\b", "..", ["a,b"], [1], 3, "a\nb", None])
def test_the_setting_accepts_names_only(value):
    with pytest.raises(SettingsError, match="it accepts names of files without folders"):
        Settings(weights=value)


def test_names_may_be_a_list():
    for value in ([" a.bin", "", "b.bin"], "a.bin, b.bin"):
        assert Settings(weights=value).weights == "a.bin,b.bin"


@pytest.mark.parametrize("flag", ["--threads", "--batch-size"])
@pytest.mark.parametrize("number", ["-3", "1025", "9" * 5000, "2.5", "many", "\N{SUPERSCRIPT TWO}"])
def test_unusable_numbers_of_threads_and_frames_are_refused(capsys, flag, number):
    parser = argparse.ArgumentParser()
    add_runtime(parser)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args([f"{flag}={number}"])
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.endswith("is not a whole number from 0 to 1024")
    assert len(message) < 150
