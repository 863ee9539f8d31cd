"""Labels of dropdowns and the values that they stand for."""

import pytest

pytest.importorskip("gradio")

from sadtalker_ext.engines.registry import engine_names
from sadtalker_ext.models.pose_vae import PoseVAEConfig
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.setting_choices import (
    LABELS,
    SHOWN,
    labelled,
    pose_style_labels,
    restorer_labels,
    to_label,
    to_value,
)


def test_every_style_of_every_engine_has_a_label_that_stands_for_its_number():
    for engine in engine_names():
        labels = pose_style_labels(engine)
        assert [to_value("pose_style", label, engine) for label in labels] == [str(i) for i in range(len(labels))]
        assert [to_label("pose_style", str(i), engine) for i in range(len(labels))] == labels
    assert pose_style_labels("starter")[:2] == ["Natural", "Calm"]
    assert len(pose_style_labels("sadtalker")) == PoseVAEConfig().styles
    assert to_value("pose_style", "lively", "starter") == "2"


@pytest.mark.parametrize(
    ("setting", "value", "label"),
    [
        ("restore", "none", "None"), ("upscale", "4x", "4x"), ("tts_voice", "", "Default"), ("tts_voice", "en", "en"),
        ("seed", 3, 3), ("quality", "good", "good"),
    ],
)  # fmt: skip
def test_values_and_labels_are_inverse(setting, value, label):
    assert to_label(setting, value, "starter") == label
    assert to_value(setting, label, "starter") == value


def test_no_face_is_the_largest_one():
    assert to_value("face", "", "starter") == Settings().face
    assert to_value("face", "1,2,30,40", "starter") == "1,2,30,40"


def test_a_voice_is_chosen_by_its_label():
    assert to_value("tts_voice", "en_US-amy-low (English, Piper)", "starter") == "en_US-amy-low"


def test_labels_belong_to_values_that_exist():
    specs = {spec.name: spec for spec in Settings.specs()}
    for setting, labels in LABELS.items():
        assert set(labels) == set(specs[setting].choices)
        assert [value for _, value in labelled(setting, specs[setting].choices)] == list(specs[setting].choices)


def test_words_of_details_belong_to_defaults():
    defaults = Settings().to_mapping()
    assert {name: [str(defaults[name])] for name in SHOWN} == {name: list(words) for name, words in SHOWN.items()}


def test_files_of_restorers_are_offered(tmp_path):
    (tmp_path / "GFPGANv1.4.pth").touch()
    (tmp_path / "notes.txt").touch()
    assert restorer_labels(["CodeFormer"], (tmp_path, tmp_path / "absent")) == ["None", "CodeFormer", "GFPGANv1.4.pth"]
