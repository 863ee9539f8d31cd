"""Networks that a user trained: found by name, recognised by the kind in their header, anything else refused."""

import pytest
import torch
from safetensors.torch import save_file

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.voice_detector import VoiceDetector, VoiceDetectorConfig
from sadtalker_ext.weights.mouth_cover import MOUTH_COVER_FILE
from sadtalker_ext.weights.starter import (
    LIP_MOTION_FILE,
    POSE_CVAE_FILE,
    SPEECH_TO_EXPRESSION_FILE,
    VOICE_DETECTOR_FILE,
)
from sadtalker_ext.weights.trained import TrainedWeights, find_trained_weights

SHIPPED = TrainedWeights(
    SPEECH_TO_EXPRESSION_FILE, LIP_MOTION_FILE, VOICE_DETECTOR_FILE, POSE_CVAE_FILE, MOUTH_COVER_FILE
)


def test_each_kind_is_recognised_in_any_order():
    names = ",".join(path.name for path in reversed(SHIPPED))
    assert find_trained_weights(names, [SHIPPED.lip_motion.parent]) == SHIPPED
    assert find_trained_weights("", []) == TrainedWeights()


def test_the_first_folder_wins(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.safetensors").symlink_to(VOICE_DETECTOR_FILE)
    found = find_trained_weights("mine.safetensors", [tmp_path / "none", tmp_path / "b", tmp_path / "a"])
    assert found == TrainedWeights(voice_detector=tmp_path / "b" / "mine.safetensors")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("none.safetensors", "none.safetensors was not found in: folder .*; put the file"),
        ("run", "run is a folder; choose the .safetensors file in it"),
        ("other.safetensors", "contains 'sadtalker-mapping', but the starter engine has the networks speech_to_exp"),
        ("plain.safetensors", "contains other weights, but the starter engine"),
        ("text.safetensors", "is not a safetensors file"),
        ("one.safetensors,two.safetensors", "one.safetensors and the .*two.safetensors are both networks pose_cvae"),
    ],
)
def test_other_files_are_refused(tmp_path, names, message):
    (tmp_path / "run").mkdir()
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors", {"kind": "sadtalker-mapping"})
    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("one", "two"):
        (tmp_path / f"{name}.safetensors").symlink_to(POSE_CVAE_FILE)
    with pytest.raises(WeightsError, match=message):
        find_trained_weights(names, [tmp_path])


def test_a_damaged_file_of_the_user_is_not_blamed_on_the_package(tmp_path):
    from sadtalker_ext.weights.safetensors_file import load_network

    content = bytearray(VOICE_DETECTOR_FILE.read_bytes())
    content[-1] ^= 1
    (tmp_path / "v.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="do not match its hash; train it again, or choose another file"):
        load_network(tmp_path / "v.safetensors", "starter voice_detector", VoiceDetector, VoiceDetectorConfig)
