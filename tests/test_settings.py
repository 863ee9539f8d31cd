"""Settings: accepted and refused values, error messages, and JSON round trips."""

import ast
import json
import math
from pathlib import Path

import pytest

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.setting_spec import AngleKeyframes, angle_keyframes
from sadtalker_ext.settings import Settings

PACKAGE = Path(__file__).parents[1] / "sadtalker_ext"
FRONT_ENDS = ("cli", "api", "webui")


@pytest.mark.parametrize(
    ("values", "name", "stored"),
    [
        ({"yaw": [0, -10, 10.5]}, "yaw", "0,-10,10.5"),
        ({"yaw": " 1, 2 ,3 "}, "yaw", "1,2,3"),
        ({"yaw": "0:0, 1.5 : 20, 3:-20"}, "yaw", "0:0,1.5:20,3:-20"),
        ({"yaw": [[0, 0], [1.5, 20.5]]}, "yaw", "0:0,1.5:20.5"),
        ({"yaw": ["0.5:3"]}, "yaw", "0.5:3"),
        ({"view": "orbit"}, "view", "orbit"),
        ({"pitch": 3}, "pitch", "3"),
        ({"roll": None}, "roll", ""),
        ({"roll": []}, "roll", ""),
        ({"face": [1, 2, 30, 40.5]}, "face", "1,2,30,40.5"),
        ({"face": 2}, "face", "2"),
        ({"seed": "7"}, "seed", 7),
        ({"seed": 4294967295}, "seed", 4294967295),
        ({"frame_rate": 30.0}, "frame_rate", 30),
        ({"still": "on"}, "still", True),
        ({"pose_style": 3}, "pose_style", "3"),
        ({"blink": 2}, "blink", 2.0),
    ],
)
def test_accepts_what_forms_and_files_hold(values, name, stored):
    value = getattr(Settings.from_mapping(values), name)
    assert value == stored
    assert type(value) is type(stored)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": -1}, "0 to 4294967295"),
        ({"seed": 2**32}, "0 to 4294967295"),
        ({"seed": 1.5}, "an integer"),
        ({"frame_rate": 61}, "10 to 60 Hz"),
        ({"frame_rate": True}, "10 to 60 Hz"),
        ({"expression_scale": math.nan}, "0 to 2"),
        ({"expression_scale": "wide"}, "0 to 2"),
        ({"head_motion_scale": math.inf}, "0 to 3"),
        ({"resolution_limit": 100}, "256 to 8192 pixels"),
        ({"yaw": "a"}, "-60 to 60 degrees"),
        ({"yaw": [1, 99]}, "-60 to 60 degrees"),
        ({"yaw": "1,,2"}, "-60 to 60 degrees"),
        ({"yaw": "0:0,5"}, "all or none with a rising time"),
        ({"yaw": "1:0,1:5"}, "all or none with a rising time"),
        ({"yaw": "2:0,1:5"}, "such as 0:0,1.5:20"),
        ({"yaw": "-1:0"}, "rising time in seconds"),
        ({"yaw": "7201:0"}, "rising time in seconds"),
        ({"yaw": "0:61"}, "-60 to 60 degrees"),
        ({"yaw": "0:0:0"}, "rising time in seconds"),
        ({"yaw": "0:"}, "rising time in seconds"),
        ({"yaw": [[0, 1, 2]]}, "rising time in seconds"),
        ({"yaw": [[]]}, "rising time in seconds"),
        ({"yaw": [0, [1, 2]]}, "rising time in seconds"),
        ({"yaw": [[[0], 1]]}, "rising time in seconds"),
        ({"yaw": "nan:1"}, "rising time in seconds"),
        ({"view": "spin"}, "none, orbit, sway, nod, dolly"),
        ({"face": "1,2,3"}, "x,y,width,height"),
        ({"face": "0,0,0,10"}, "x,y,width,height"),
        ({"face": "-1"}, "a number from 1"),
        ({"face": 0}, "a number from 1"),
        ({"face": True}, "largest"),
        ({"still": "maybe"}, "true or false"),
        ({"still": 1}, "true or false"),
        ({"quality": "Good"}, "small, good, best"),
        ({"pose_style": None}, "text"),
    ],
)
def test_refuses_with_the_name_the_value_and_the_range(values, message):
    (name, value), = values.items()
    with pytest.raises(SettingsError) as refused:
        Settings.from_mapping(values)
    assert name in str(refused.value)
    assert repr(value) in str(refused.value)
    assert message in str(refused.value)


@pytest.mark.parametrize("value", ["9" * 5000, 10**5000, [""] * 5000, "-" * 81], ids=["text", "int", "list", "dashes"])
def test_long_values_are_cut_in_messages(value):
    for name in ("frame_rate", "yaw", "face"):
        with pytest.raises(SettingsError) as refused:
            Settings.from_mapping({name: value})
        message = str(refused.value)
        assert f"The setting {name} is " in message
        assert len(message) < 300
        assert message.count("'") % 2 == 0, "quotes are closed"


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(SettingsError, match="did you mean expression_scale"):
        Settings.from_mapping({"expresion_scale": 1.0})
    with pytest.raises(SettingsError, match="named batch_size; the settings are engine, face"):
        Settings.from_mapping({"batch_size": 4})


def test_settings_checked_when_made_directly():
    with pytest.raises(SettingsError, match="quality"):
        Settings(quality="huge")
    assert Settings(yaw=[1, 2]) == Settings(yaw="1,2")


def test_json_round_trip_is_exact():
    given = Settings(still=True, yaw="-10,0,12.5", seed=4294967295, blink=0.3, face="1,2,3,4")
    assert Settings.from_json(given.to_json()) == given
    assert all(isinstance(value, str | bool | int | float) for value in json.loads(given.to_json()).values())
    assert given.changes() == {"still": True, "yaw": "-10,0,12.5", "seed": 4294967295, "blink": 0.3, "face": "1,2,3,4"}


@pytest.mark.parametrize("text", ["", "[1]", "{", '"seed"', "null"])
def test_json_without_settings_is_refused(text):
    with pytest.raises(SettingsError):
        Settings.from_json(text)


def test_every_setting_has_a_label_help_and_valid_default():
    for spec in Settings.specs():
        assert spec.label
        assert spec.help.endswith(".")
        assert spec.read(spec.default) == spec.default
        if isinstance(spec.default, int | float) and not isinstance(spec.default, bool):
            assert spec.low <= spec.default <= spec.high
            assert 0 < spec.step < spec.high - spec.low


def test_schema_agrees_with_the_settings():
    jsonschema = pytest.importorskip("jsonschema")
    schema = Settings.json_schema(Settings.specs())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert list(schema["properties"]) == [spec.name for spec in Settings.specs()]
    for good in (Settings().to_mapping(), {"yaw": [1, 2]}, {"yaw": 5}, {"blink": 2}, {"yaw": [[0, 1]]}):
        assert validator.is_valid(good)
        Settings.from_mapping(good)
    for bad in ({"blink": 2.1}, {"quality": "huge"}, {"still": 1}, {"seed": 1.5}, {"yaw": [[-1, 9]]}, {"nose": 1}):
        assert not validator.is_valid(bad)
        with pytest.raises(SettingsError):
            Settings.from_mapping(bad)


def test_keyframes():
    assert angle_keyframes("") is None
    assert angle_keyframes("5") == AngleKeyframes((5.0,))
    assert angle_keyframes("-10,0,10.5") == AngleKeyframes((-10.0, 0.0, 10.5))
    assert angle_keyframes("0.5:-10,3:20") == AngleKeyframes((-10.0, 20.0), (0.5, 3.0))


def test_each_setting_has_exactly_one_reader_below_the_front_ends():
    readers = {spec.name: [] for spec in Settings.specs()}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] in FRONT_ENDS:
            continue
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for name in readers.keys() & _settings_read(function):
                    readers[name].append(f"{path.relative_to(PACKAGE)}:{function.lineno} {function.name}")
    assert {name: places for name, places in readers.items() if len(places) != 1} == {}


def _settings_read(function):
    """Names read as ``settings.name`` or ``something.settings.name`` in a function's own body."""
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute):
            owner = node.value
            called = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if called == "settings":
                names.add(node.attr)
    return names
