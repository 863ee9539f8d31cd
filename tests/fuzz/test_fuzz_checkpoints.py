"""Headers and contents of checkpoint files, read by every reader of such files."""

import json
from functools import partial

import pytest
import torch
from fuzz_cases import property_of
from fuzz_values import damaged, texts, values
from hypothesis import strategies as st

from sadtalker_ext.models.lip_motion import LipMotion, LipMotionConfig
from sadtalker_ext.models.pose_cvae import PoseCvaeConfig
from sadtalker_ext.models.speech_to_expression import SpeechToExpressionConfig
from sadtalker_ext.weights.check import check_all
from sadtalker_ext.weights.external_networks import load_lip_reader
from sadtalker_ext.weights.face_networks import SHORT_RANGE, load_face_network
from sadtalker_ext.weights.measure_networks import load_arcface, load_syncnet
from sadtalker_ext.weights.packaged import PackagedConfig, read_packaged_config
from sadtalker_ext.weights.restorer_files import read_restorer
from sadtalker_ext.weights.safetensors_file import save_network, tensors_sha256
from sadtalker_ext.weights.speech_encoder import load_speech_encoder
from sadtalker_ext.weights.starter import (
    LIP_MOTION_KIND,
    POSE_CVAE_KIND,
    SPEECH_TO_EXPRESSION_KIND,
    load_lip_motion,
    load_pose_cvae,
    load_speech_to_expression,
    load_voice_detector,
)

DTYPES = ("F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "F4", "F64", "C64", "X", "", "f32")
sizes = st.one_of(st.integers(0, 4), st.sampled_from([-1, 1 << 31, 1 << 62, 1 << 64, 10**30]), values)
entry = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(DTYPES) | values,
        "shape": st.lists(sizes, max_size=4) | values,
        "data_offsets": st.lists(sizes, min_size=2, max_size=2) | values,
    },
    optional={"extra": values},
)
plain = st.just({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]})
tensor_names = st.sampled_from(["weight", "params", "params_ema", "audio2exp.a.weight", "generator.x", ""]) | texts
metadata = st.none() | st.dictionaries(
    st.sampled_from(["kind", "config", "sha256", "sadtalker"]) | texts, texts | values
)


@st.composite
def safetensors(draw):
    """Return a file with a hostile header of the right form, and a few bytes of data."""
    header = draw(st.dictionaries(tensor_names, plain | entry | values, max_size=3))
    entries = draw(metadata)
    if entries is not None:
        header["__metadata__"] = entries
    body = json.dumps(header).encode("utf-8", "surrogatepass")
    length = len(body) if draw(st.booleans()) else draw(st.sampled_from([0, 1, len(body) + 1, 1 << 63, (1 << 64) - 1]))
    return length.to_bytes(8, "little") + body + bytes(draw(st.sampled_from([0, 8, 8, 64])))


NAMES = (
    "SadTalker_V0.0.2_256.safetensors",
    "mapping_00229-model.safetensors",
    "GFPGANv1.4.safetensors",
    "restorer.pth",
    "mapping_00229-model.pth.tar",
    "epoch_20.pth",
    "auido2exp_00300-model.pth",
    "facevid2vid_00189-model.pth.tar",
)
READERS = {
    "restorer": read_restorer,
    "arcface": load_arcface,
    "encoder": load_speech_encoder,
    "faces": partial(load_face_network, SHORT_RANGE),
    "lip reader": load_lip_reader,
    "syncnet": load_syncnet,
    "voice detector": load_voice_detector,
    "config": read_packaged_config,
    "lips": load_lip_motion,
    "pose": load_pose_cvae,
    "speech": load_speech_to_expression,
}


@property_of(6, content=safetensors(), name=st.sampled_from(NAMES[:3]), reader=st.sampled_from(list(READERS)))
def test_headers(place, content, name, reader):
    path = place.write(name, content)
    place.read(READERS[reader], path)
    for result in place.read(check_all, [place.folder], False):
        assert not result.usable
        assert "Traceback" not in result.problem
    path.unlink()


@pytest.fixture(scope="module")
def pickled(tmp_path_factory):
    path = tmp_path_factory.mktemp("pickle") / "a.pth"
    torch.save({"params_ema": {"weight": torch.ones(2)}}, path)
    return path.read_bytes()


@property_of(2, data=st.data(), name=st.sampled_from(NAMES[3:]))
def test_damaged_pickles(place, pickled, data, name):
    path = place.write(name, data.draw(damaged(pickled) | st.binary(max_size=40)))
    place.read(read_restorer, path)
    place.read(check_all, [place.folder], False)
    path.unlink()


CONFIGS = {
    LIP_MOTION_KIND: (load_lip_motion, LipMotionConfig),
    POSE_CVAE_KIND: (load_pose_cvae, PoseCvaeConfig),
    SPEECH_TO_EXPRESSION_KIND: (load_speech_to_expression, SpeechToExpressionConfig),
}
field_values = st.one_of(st.integers(-3, 70), st.sampled_from([1 << 20, 1 << 31, 1 << 40, 1 << 70, 0.0, 1e300]), values)


@st.composite
def configs(draw, config_type):
    """Return a config as JSON: some fields of the right names have hostile values."""
    fields = list(config_type.__dataclass_fields__)
    chosen = draw(
        st.dictionaries(st.sampled_from(fields), field_values | st.lists(field_values, max_size=3), max_size=3)
    )
    return chosen | draw(st.dictionaries(texts, values, max_size=1))


@property_of(3, kind=st.sampled_from(list(CONFIGS)), data=st.data())
def test_configs_with_a_valid_hash(place, kind, data):
    from safetensors.torch import save_file

    load, config_type = CONFIGS[kind]
    tensors = {"weight": torch.zeros(2)}
    header = {"kind": kind, "sha256": tensors_sha256(tensors), "config": json.dumps(data.draw(configs(config_type)))}
    path = place.folder / "network.safetensors"
    save_file(tensors, path, header)
    assert place.read(load, path) is None
    path.unlink()


@property_of(1, chosen=configs(PackagedConfig))
def test_configs_of_packaged_files(place, chosen):
    from safetensors.torch import save_file

    path = place.folder / "SadTalker_V0.0.2_64.safetensors"
    save_file(
        {"generator.x": torch.zeros(2)}, path, {"sadtalker_config": json.dumps(chosen), "config": json.dumps(chosen)}
    )
    place.read(read_packaged_config, path)
    place.read(check_all, [place.folder], False)
    path.unlink()


@property_of(1, data=st.data())
def test_damaged_files(place, data):
    path = place.folder / "lips.safetensors"
    save_network(path, LipMotion(LipMotionConfig()), LIP_MOTION_KIND, {})
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    place.read(load_lip_motion, path)
    path.unlink()
