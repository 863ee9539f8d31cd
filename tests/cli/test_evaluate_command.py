"""``sadtalker evaluate``: refusals before any work, figures of voices, and a filmed head whose turn is known."""

import argparse
import json
import wave

import cv2
import numpy as np
import pytest

from sadtalker_ext.cli import evaluate
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.pipeline.evaluate_video import track_video
from sadtalker_ext.video.write import VideoSpec, write_video

ROLL_DEG = 6.0


def call(*words: str) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_command(parser.add_subparsers())
    options = parser.parse_args(["evaluate", *words])
    return options.run(options)


def write_voice(path):
    """Two seconds of buzzing syllables between silences."""
    times = np.arange(32000) / 16000
    envelope = np.clip(np.sin(2 * np.pi * 2.5 * times), 0, None) * (times > 0.4) * (times < 1.6)
    wave_form = 0.5 * envelope * np.sign(np.sin(2 * np.pi * 120 * times))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((20000 * wave_form).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """The astronaut's picture rolled to and fro by six degrees, 24 frames; every other video blurred."""
    from skimage import data

    folder = tmp_path_factory.mktemp("filmed")
    picture = data.astronaut()
    angles_deg = ROLL_DEG * np.sin(2 * np.pi * np.arange(24) / 24)
    turned = [
        cv2.warpAffine(
            picture, cv2.getRotationMatrix2D((225, 130), -angle, 1.0), (512, 512), borderMode=cv2.BORDER_REPLICATE
        )
        for angle in angles_deg
    ]
    write_video(turned, folder / "sharp.mp4", VideoSpec())
    write_video((cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in turned), folder / "soft.mp4", VideoSpec())
    return folder, np.deg2rad(angles_deg)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing to measure"),
        (["a.mp4", "--render"], "--render makes its own videos"),
        (["a.mp4", "--clip", "anna"], "name that with --lips"),
        (["a.mp4", "--fid-network", "net.pt"], "name both"),
        (["--lips", "absent.json"], r"absent\.json cannot be read"),
        (["--voice", "absent.wav"], r"absent\.wav"),
        (["--voice", "v.wav", "--engine", "starter", "--pose-style", "angry"], "angry"),
    ],
)
def test_refusals_are_sentences(words, sentence):
    with pytest.raises(SadTalkerError, match=sentence):
        call(*words)


def test_voices_are_predicted_and_measured_against_their_speaker(tmp_path, capsys):
    write_voice(tmp_path / "anna.wav")
    frames = np.arange(50) / 25
    opening = np.clip(np.sin(2 * np.pi * 2.5 * frames), 0, None) * (frames > 0.4) * (frames < 1.6)
    lips = {"anna": {"fps": 25, "openness": opening.tolist(), "width": (0.6 + 0.01 * np.cos(frames)).tolist()}}
    (tmp_path / "lips.json").write_text(json.dumps(lips))
    assert call("--lips", str(tmp_path / "lips.json"), "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert set(content["clips"]) == {"anna", "silence", "noise", "music"}
    assert content["clips"]["anna"]["opening_r"] > 0.3
    assert content["clips"]["anna"]["speed"] > 1
    assert content["clips"]["silence"]["opening_unvoiced"] < 10
    assert 0 <= content["clips"]["noise"]["opening_unvoiced"] < 100
    (tmp_path / "anna.wav").unlink()
    with pytest.raises(SadTalkerError, match="no sound named anna beside"):
        call("--lips", str(tmp_path / "lips.json"))


def test_a_known_roll_is_tracked(filmed):
    folder, angles_rad = filmed
    track = track_video(folder / "sharp.mp4")
    assert track.seen == 1.0
    error_deg = np.rad2deg(np.abs(track.rotation[:, 2] - angles_rad + angles_rad[0]))
    assert error_deg.max() < 1.0
    assert np.rad2deg(np.abs(track.rotation[:, :2])).max() < 3.0
    assert np.ptp(track.opening) < 0.08


def test_a_video_is_measured_and_compared(filmed, capsys):
    folder, _ = filmed
    assert call(str(folder / "soft.mp4"), "--reference", str(folder / "sharp.mp4"), "--json") == 0
    soft = json.loads(capsys.readouterr().out)["clips"]["soft.mp4"]
    assert call(str(folder / "sharp.mp4"), "--reference", str(folder / "sharp.mp4")) == 0
    table = capsys.readouterr().out
    sharp = {line.split()[0]: line.split()[1] for line in table.splitlines()[2:]}
    assert soft["cpbd"] < float(sharp["cpbd"])
    assert 15 < soft["psnr"] < 45
    assert soft["ssim"] < 0.99
    assert sharp["psnr"] == "inf"
    assert float(sharp["ssim"]) == pytest.approx(1.0)
    assert soft["head_diversity"] == pytest.approx(ROLL_DEG / np.sqrt(2) / 3, rel=0.35)
    assert soft["head_beats"] is None
