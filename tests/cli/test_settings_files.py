"""Files of settings in JSON: what is read, and what is refused without a traceback or an endless wait."""

import json
import os

import pytest

from sadtalker_ext.cli.setting_flags import MAX_JSON_BYTES, read_settings_file
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
