"""The recipe of VoiceDetector: separable features are separated, it runs from sound files, bad folders are refused."""

import json

import numpy as np
import pytest
import soundfile
import torch

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.models.voice_detector import VoiceDetectorConfig
from sadtalker_ext.training.starter import voice_detector
from sadtalker_ext.training.starter.voice_detector import (
    Example,
    VoiceDetectorPlan,
    fit,
    sound_files,
    train_voice_detector,
)
from sadtalker_ext.weights.starter import load_voice_detector

CONFIG = VoiceDetectorConfig(layers=(1,), width=6)


def examples(count, shift, seed=0):
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        labels = np.repeat([1, 0, -1], 100).astype(np.int8)
        features = random.normal(size=(300, 6)) + shift * np.eye(6)[number % 2] * (labels == 1)[:, None]
        made.append(Example((20 * features + 7).astype(np.float32), labels))
    return made


def test_separable_features_are_separated_whatever_their_scale():
    network = fit(examples(4, 8.0), CONFIG)
    fresh = examples(2, 8.0, seed=9)
    logits = network(torch.from_numpy(np.concatenate([one.features for one in fresh]))).detach().numpy()
    labels = np.concatenate([one.labels for one in fresh])
    assert (logits[labels == 1] > 0).mean() > 0.98
    assert (logits[labels == 0] < 0).mean() > 0.98


def test_frames_that_are_not_to_be_learned_have_no_influence():
    clean, spoiled = examples(2, 4.0), examples(2, 4.0)
    for one in spoiled:
        one.features[one.labels < 0] = 1e6
    torch.testing.assert_close(fit(clean, CONFIG).logit.weight, fit(spoiled, CONFIG).logit.weight)


def demo_samples():
    from importlib.resources import files
    from pathlib import Path

    speech = open_speech(Path(str(files("sadtalker_ext.assets") / "demo_voice.flac")))
    return np.concatenate(list(speech.blocks()))


def test_recipe_learns_voices_from_sound_files(tmp_path, capsys, monkeypatch):
    plan = VoiceDetectorPlan(variants=1, over_sounds=0, examples=1, kinds=("clicks", "bells", "noise"))
    monkeypatch.setattr(voice_detector, "VoiceDetectorPlan", lambda: plan)
    monkeypatch.setattr(voice_detector, "SOUND_S", 2.0)
    samples = demo_samples()
    for number in range(5):
        soundfile.write(tmp_path / f"voice{number}.wav", samples[16_000 * number :][:32_000], 16_000)
    assert main(["train", "voice_detector", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 0
    weights = json.loads(capsys.readouterr().out)["weights"]
    report = json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))
    assert report["voices_found"] > 0.9
    assert report["false_voices"] < 0.1
    assert load_voice_detector(tmp_path / "run" / weights.rpartition("/")[2]).config == VoiceDetectorConfig()


def test_too_few_voices_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(MediaError, match="No sound files"):
        sound_files([tmp_path])
    with pytest.raises(SettingsError, match="There are 2 recordings of voices; use 5 or more"):
        train_voice_detector([tmp_path / "a.wav", tmp_path / "b.wav"], tmp_path)
