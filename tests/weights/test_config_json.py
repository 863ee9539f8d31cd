"""Configs from JSON: nested values, defaults, and a WeightsError that names file and field."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import pytest

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.dense_motion import DenseMotionConfig
from sadtalker_ext.models.discriminator import DiscriminatorConfig
from sadtalker_ext.models.generator import GeneratorConfig
from sadtalker_ext.models.pose_cvae import PoseCvaeConfig
from sadtalker_ext.weights.config_json import config_from_json, parse_json_object
from sadtalker_ext.weights.packaged import PackagedConfig


@pytest.mark.parametrize(
    "config",
    [
        PackagedConfig(64, generator=GeneratorConfig(resblocks=1, motion=DenseMotionConfig(aligned=True))),
        DiscriminatorConfig(scales=(1.0, 0.5)),
        PoseCvaeConfig(styles=("calm", "lively")),
    ],
)
def test_a_config_survives_json(config):
    values = json.loads(json.dumps(asdict(config)))
    assert config_from_json(type(config), values, "it") == config


def test_missing_fields_take_their_defaults_and_integers_become_floats():
    made = config_from_json(GeneratorConfig, {"motion": {"levels": 2}, "resblocks": 1}, "it")
    assert made == GeneratorConfig(resblocks=1, motion=DenseMotionConfig(levels=2))
    scales = config_from_json(DiscriminatorConfig, {"scales": [1, 0.5]}, "it").scales
    assert [type(scale) for scale in scales] == [float, float]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size_px": 64, "colour": 3}, "fields that this version does not know: colour;"),
        ({"generator": {"motion": {"depht": 3}}}, r"does not know: generator\.motion\.depht;"),
        ({"size_px": None}, "field size_px in the config of it is null, but it must be int"),
        ({"size_px": "64"}, "field size_px in the config of it is '64', but it must be int"),
        ({"size_px": True}, "field size_px in the config of it is True, but it must be int"),
        ({"size_px": 64.0}, "field size_px in the config of it is 64.0, but it must be int"),
        ({"generator": {"motion": {"aligned": 1}}}, r"field generator\.motion\.aligned .* must be bool"),
        ({"generator": [1]}, r"field generator .* is \[1\], but it must be an object"),
        ({"generator": None}, "field generator .* is null, but it must be an object"),
        ({"exp_net": {"audio_widths": 5}}, r"field exp_net\.audio_widths .* must be a list"),
        ({"exp_net": {"audio_widths": [1, 2, None]}}, r"field exp_net\.audio_widths\[2\] .* is null"),
        ({"pose_vae": {"discriminator_widths": [1, 2]}}, r"pose_vae\.discriminator_widths .* a list of 3 values"),
        ([1, 2], r"field config in the config of it is \[1, 2\], but it must be an object"),
    ],
)
def test_invalid_values_are_refused_with_file_and_field(values, message):
    with pytest.raises(WeightsError, match=message):
        config_from_json(PackagedConfig, values, "it")


def test_a_missing_field_without_a_default_is_named():
    @dataclass(frozen=True)
    class Sizes:
        width: int

    Sizes.__annotations__["width"] = int
    with pytest.raises(WeightsError, match="config of it lacks the field width"):
        config_from_json(Sizes, {}, "it")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "3"])
def test_headers_that_are_not_objects_are_refused(text):
    with pytest.raises(WeightsError, match=r"The header of it\.safetensors"):
        parse_json_object(text, "it.safetensors")
