"""The setting ``weights``: each network replaces the shipped one, and networks that do not fit are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sadtalker_ext.assets import demo_portrait, demo_voice
from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.engines.protocol import MotionStyle
from sadtalker_ext.engines.session import open_engine
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.lip_motion import LipMotion
from sadtalker_ext.models.pose_cvae import PoseCvae
from sadtalker_ext.models.voice_detector import VoiceDetector
from sadtalker_ext.pipeline.portrait import read_portrait
from sadtalker_ext.puppet.basis import MOUTH_SHAPES, SHAPE_INDEX
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.weights.mouth_cover import load_mouth_cover, save_mouth_cover
from sadtalker_ext.weights.starter import (
    LIP_MOTION_FILE,
    POSE_CVAE_FILE,
    SPEECH_TO_EXPRESSION_FILE,
    VOICE_DETECTOR_FILE,
    load_lip_motion,
    load_pose_cvae,
    load_speech_to_expression,
    load_voice_detector,
    save_lip_motion,
    save_pose_cvae,
    save_speech_to_expression,
    save_voice_detector,
)

MOUTH = [SHAPE_INDEX[name] for name in MOUTH_SHAPES]


def predict(folder, names):
    settings = Settings(weights=names)
    with open_engine("starter", settings, Runtime("cpu", folders=(folder,))) as opened:
        engine = opened.engine
        return engine.predict_motion(open_speech(demo_voice()), engine.neutral_motion(), MotionStyle(seed=1))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return predict(tmp_path_factory.mktemp("none"), "")


def zeroed(network):
    for parameter in network.parameters():
        parameter.data.zero_()
    return network


def test_copies_of_the_shipped_networks_change_nothing(tmp_path, shipped):
    files = [LIP_MOTION_FILE, POSE_CVAE_FILE, SPEECH_TO_EXPRESSION_FILE, VOICE_DETECTOR_FILE]
    for number, file in enumerate(files):
        (tmp_path / f"{number}.safetensors").write_bytes(file.read_bytes())
    motion = predict(tmp_path, ",".join(f"{number}.safetensors" for number in range(len(files))))
    np.testing.assert_array_equal(motion.expression, shipped.expression)
    np.testing.assert_array_equal(motion.rotation, shipped.rotation)


def test_a_detector_that_hears_no_voice_keeps_the_mouth_closed(tmp_path, shipped):
    detector = zeroed(load_voice_detector())
    detector.logit.bias.data.fill_(-100.0)
    save_voice_detector(detector, tmp_path / "deaf.safetensors", {})
    moving = np.ptp(shipped.expression[:, MOUTH], axis=0).max()
    assert np.ptp(predict(tmp_path, "deaf.safetensors").expression[:, MOUTH], axis=0).max() < 0.2 * moving


def test_other_networks_change_what_they_predict_and_nothing_else(tmp_path, shipped):
    save_pose_cvae(zeroed(load_pose_cvae()), tmp_path / "pose.safetensors", {})
    posed = predict(tmp_path, "pose.safetensors")
    np.testing.assert_array_equal(posed.expression[:, MOUTH], shipped.expression[:, MOUTH])
    assert np.abs(posed.rotation - shipped.rotation).max() > 0.01
    save_lip_motion(zeroed(load_lip_motion()), tmp_path / "lips.safetensors", {})
    save_speech_to_expression(zeroed(load_speech_to_expression()), tmp_path / "shapes.safetensors", {})
    for name in ("lips.safetensors", "shapes.safetensors"):
        spoken = predict(tmp_path, name)
        np.testing.assert_array_equal(spoken.rotation, shipped.rotation)
        assert np.abs(spoken.expression[:, MOUTH] - shipped.expression[:, MOUTH]).max() > 0.1


def test_a_network_that_sees_covers_everywhere_covers_the_mouth(tmp_path):
    network = load_mouth_cover()
    path, (name, last) = tmp_path / "cover.safetensors", list(network.named_parameters())[-1]
    assert name.endswith("bias")
    last.data.fill_(100.0)
    save_mouth_cover(network, path, {})
    assert not read_portrait(demo_portrait(), Settings()).portrait.mouth_covered
    assert read_portrait(demo_portrait(), Settings(), mouth_cover=path).portrait.mouth_covered


def test_networks_for_other_features_are_refused(tmp_path):
    torch.manual_seed(0)
    lips, voice = load_lip_motion().config, load_voice_detector().config
    save_lip_motion(LipMotion(replace(lips, layers=(2, 3, 4, 9))), tmp_path / "layers.safetensors", {})
    save_voice_detector(VoiceDetector(replace(voice, width=16)), tmp_path / "width.safetensors", {})
    save_pose_cvae(PoseCvae(replace(load_pose_cvae().config, features=5)), tmp_path / "pose.safetensors", {})
    for name, message in (
        ("layers", "reads the layers"), ("width", "reads the layers"), ("pose", "reads 5 features of the prosody"),
    ):  # fmt: skip
        with pytest.raises(WeightsError, match=f"{name}.safetensors {message}.*train it again"):
            predict(tmp_path, f"{name}.safetensors")
