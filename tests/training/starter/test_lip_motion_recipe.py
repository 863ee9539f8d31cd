"""The recipe of LipMotion: known lips are learned, recordings are aligned, and bad folders are refused."""

import json
import re

import numpy as np
import pytest
import soundfile
import torch

from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.models.lip_motion import LipMotion, LipMotionConfig
from sadtalker_ext.training.starter.lip_motion import regression_rows, tap_weights, train_lip_motion
from sadtalker_ext.training.starter.lip_recordings import read_recordings
from sadtalker_ext.training.starter.lip_regression import (
    Example,
    align,
    cross_validate,
    principal_directions,
    shifted,
    standardize,
    sum_equations,
    weigh,
    windows,
    without_drift,
)
from sadtalker_ext.weights.safetensors_file import read_safetensors_file
from sadtalker_ext.weights.starter import LIP_MOTION_KIND, load_lip_motion

RNG = np.random.default_rng


def examples(count=8, frames=400, noise=0.5, late_frames=None):
    """Recordings whose lips are a fixed linear map of smooth features, plus noise; some lips are late."""
    random = RNG(0)
    mapping = random.normal(size=(6, 2))
    made = {}
    for number in range(count):
        raw = random.normal(size=(frames + 20, 6))
        features = np.stack([np.convolve(column, np.ones(5) / 5, mode="same") for column in raw.T], 1)
        late = 0 if late_frames is None else late_frames[number]
        lips = np.roll(features @ mapping, late, axis=0) + noise * 0.4 * random.normal(size=(frames + 20, 2))
        made[f"clip{number}"] = Example(f"speaker{number}", 10 * features[10:-10], lips[10:-10])
    return made


def test_known_map_is_found_on_speakers_that_are_left_out():
    scores = cross_validate(examples(noise=0.1))
    assert len(scores) == 8
    assert all(score.opening > 0.95 and score.width > 0.95 and abs(score.lag_s) <= 0.01 for score in scores.values())


def test_lips_that_are_apart_from_the_sound_are_moved_back():
    late = [0, 0, 2, -2, 0, 3, 0, 0]
    made = examples(noise=0.2, late_frames=late)
    before = np.mean([score.opening for score in cross_validate(made).values()])
    align(made)
    moved = [example.shift_s * 25 for example in made.values()]
    np.testing.assert_allclose(moved, late, atol=0.3)
    assert np.mean([score.opening for score in cross_validate(made).values()]) > before


def test_ridge_regression_is_that_of_the_normal_equations(monkeypatch):
    monkeypatch.setattr("sadtalker_ext.training.starter.lip_regression.RIDGE", 1e-9)
    made = list(examples(3).values())
    rows = np.concatenate([example.rows for example in made])
    targets = np.concatenate([standardize(without_drift(example.lips)) for example in made])
    np.testing.assert_allclose(sum_equations(made).solve(), np.linalg.lstsq(rows, targets, rcond=None)[0], rtol=1e-5)


def test_weighted_regression_is_that_of_repeated_frames():
    once, twice = examples(2, frames=60).values()
    twice.weights = (2.0, 1.0)
    weighted = sum_equations([once, twice])
    repeated = sum_equations([once, *2 * [Example("b", twice.rows, twice.lips)]])
    plain = sum_equations([once, Example("b", twice.rows, twice.lips)])
    for column, expected in enumerate((repeated, plain)):
        np.testing.assert_allclose(weighted.matrix[column], expected.matrix[column])
        np.testing.assert_allclose(weighted.right[column], expected.right[column])


def test_half_of_the_slow_drift_of_the_lips_is_removed():
    times = np.arange(1000) / 25
    slow, fast = np.sin(2 * np.pi * times / 60), np.sin(2 * np.pi * times * 2)
    lips = np.stack([slow + fast, fast], 1)
    lips[100] = np.nan
    kept = without_drift(lips)
    assert np.isnan(kept[100]).all()
    assert np.isfinite(np.delete(kept, 100, axis=0)).all()
    np.testing.assert_allclose(kept[200:800, 0], (0.5 * slow + fast)[200:800], atol=0.02)
    np.testing.assert_allclose(kept[200:800, 1], fast[200:800], atol=0.02)


def test_network_of_the_weights_gives_the_predictions_of_the_regression():
    random, config = RNG(4), LipMotionConfig(layers=(2, 3), width=60, slow_frames=3, mean_frames=1000)
    features = random.normal(size=(2, 80, 60))
    features -= features.mean(1, keepdims=True)  # of constant power, for which the running mean is this one
    directions = [principal_directions([part]) for part in features]
    rows = regression_rows(list(features), directions, config)
    weights = random.normal(size=(rows.shape[1], 2))
    network = LipMotion(config)
    network.taps.weight = torch.nn.Parameter(tap_weights(weights, directions, config))
    joined = torch.from_numpy(np.concatenate(list(features), 1)[None]).float()
    with torch.inference_mode():
        np.testing.assert_allclose(network(joined, torch.ones(1, 80))[0].numpy(), rows @ weights, atol=2e-3)


def test_badly_tracked_lips_and_frequent_speakers_count_less():
    made = examples(noise=0.1)
    made["clip0"].lips = RNG(3).normal(size=made["clip0"].lips.shape)
    for name in ("clip1", "clip2", "clip3", "clip4"):
        made[name].speaker = "the same"
    made["clip6"].lips[:, 1] = RNG(4).normal(size=len(made["clip6"].lips))
    weigh(made)
    weights = {name: np.array(example.weights) for name, example in made.items()}
    np.testing.assert_allclose(np.mean(list(weights.values()), axis=0), 1.0)
    np.testing.assert_allclose(weights["clip0"], weights["clip5"] * np.sqrt(0.2 / 2.5))
    np.testing.assert_allclose(weights["clip1"], weights["clip5"] / 2)
    np.testing.assert_allclose(weights["clip6"], weights["clip5"] * [1.0, np.sqrt(0.2 / 2.5)])


def test_missing_lips_do_not_count():
    made = examples(3, noise=0.1)
    holed = made["clip0"].lips.copy()
    holed[50:80] = np.nan
    weights = sum_equations([Example("a", made["clip0"].rows, holed), made["clip1"]]).solve()
    assert np.isfinite(weights).all()
    assert Example("a", made["clip0"].rows, holed).score(weights).opening > 0.9


def test_windows_and_shifts():
    features = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(windows(features, 1)[0], [0, 1, 0, 1, 2, 3])
    np.testing.assert_array_equal(windows(features, 1)[2], [2, 3, 4, 5, 6, 7])
    moved = shifted(np.arange(10.0)[:, None], 0.08)
    np.testing.assert_allclose(moved[:8, 0], np.arange(8) + 2)
    assert np.isnan(moved[8:]).all()
    directions = principal_directions([RNG(1).normal(size=(200, 5)) * [3, 1, 1, 1, 1]])
    assert abs(directions[0, 0]) > 0.95 * np.linalg.norm(directions[:, 0])


def voice(seed, seconds=3.0):
    """Noise whose loudness follows syllables, and the loudness at 25 Hz, which stands for the opening of the lips."""
    random = RNG(seed)
    times = np.arange(int(seconds * 16000)) / 16000
    loudness = np.clip(np.sin(2 * np.pi * (2.5 + 0.2 * seed) * times + seed), 0.02, 1)
    return 0.2 * loudness * random.normal(size=len(times)), loudness[::640]


@pytest.fixture
def folder(tmp_path):
    entries = {}
    for number in range(6):
        samples, opening = voice(number)
        soundfile.write(tmp_path / f"clip{number}.wav", samples, 16000)
        entries[f"clip{number}"] = {
            "speaker": f"person{number}", "fps": 25.0, "openness": (0.1 * opening).tolist(),
            "width": (0.5 - 0.05 * opening).tolist(), "repository": "somebody/videos", "licence": "MIT",
        }  # fmt: skip
    entries["clip0"]["openness"][3] = None
    (tmp_path / "lips.json").write_text(json.dumps(entries))
    return tmp_path


def test_command_writes_weights_with_their_source_and_figures(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sadtalker_ext.training.starter.lip_correction.STEPS", 5)
    monkeypatch.setattr("sadtalker_ext.training.starter.lip_regression.DIRECTIONS", 16)
    assert main(["train", "lip_motion", "--data", str(folder), "--out", str(tmp_path / "run")]) == 0
    path = tmp_path / "run" / "lip_motion.safetensors"
    assert json.loads(capsys.readouterr().out)["weights"] == str(path)
    header = read_safetensors_file(path, LIP_MOTION_KIND).header
    assert json.loads(header["data"]) == ["somebody/videos (MIT)"]
    figures = json.loads(header["figures"])
    assert figures["speakers"] == 6
    assert figures["opening"] > 0.8
    assert figures["width"] > 0.8
    config = load_lip_motion(path).config
    assert config.opening_mean == pytest.approx(0.1 * voice(0)[1].mean(), rel=0.1)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert set(report["recordings"]) == {f"clip{number}" for number in range(6)}


def test_lips_at_another_frame_rate_are_resampled(folder):
    path = folder / "lips.json"
    entries = json.loads(path.read_text())
    entries["clip1"] |= {"fps": 30.0, "openness": [index / 30 for index in range(90)], "width": [0.5] * 90}
    path.write_text(json.dumps(entries))
    lips = read_recordings(folder)[1].lips
    np.testing.assert_allclose(lips[:, 0], np.arange(75) / 25, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entries: entries.clear(), "has no recordings"),
        (lambda entries: entries["clip2"].pop("speaker"), "'clip2' .* is not usable"),
        (lambda entries: entries["clip2"].update(openness=[0.1]), "'clip2' .* is not usable"),
        (lambda entries: entries.update(lost=entries["clip2"]), "'lost' has no sound file"),
        (lambda entries: entries["clip2"].update(openness=[0.1] * 9, width=[0.5] * 9), "has 9 frames with a face"),
        (lambda entries: entries["clip2"].update(openness=[None] * 75), "'clip2' has 0 frames with a face"),
        (lambda entries: [entries.pop(f"clip{number}") for number in (0, 1)], "have 4 speakers"),
    ],
)
def test_folders_that_cannot_be_used_are_refused_with_a_sentence(folder, tmp_path, capsys, change, message):
    path = folder / "lips.json"
    entries = json.loads(path.read_text())
    change(entries)
    path.write_text(json.dumps(entries))
    assert main(["train", "lip_motion", "--data", str(folder), "--out", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(message, printed)
    assert not (tmp_path / "run").exists()


def test_fit_needs_several_speakers(folder):
    with pytest.raises(SettingsError, match="have 3 speakers"):
        train_lip_motion(read_recordings(folder)[:3], folder / "run")
