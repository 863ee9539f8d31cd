"""Command ``sadtalker evaluate``: invalid arguments, metrics of voices, and a video with known head motion."""

import argparse
import json
import wave

import cv2
import numpy as np
import pytest

from sadtalker_ext.assets import demo_voice
from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.cli import evaluate
from sadtalker_ext.engines.motion_editing import motion_style
from sadtalker_ext.engines.session import open_engine
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.pipeline.evaluate_video import track_video
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.write import VideoSpec, write_video

ROLL_DEG = 6.0


def evaluate_command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_command(parser.add_subparsers())
    options = parser.parse_args(["evaluate", *arguments])
    return options.run(options)


def write_voice(path):
    """Write four seconds of the demo voice; return the opening and the width (T,) that the engine predicts at 25 Hz."""
    samples = np.concatenate(list(open_speech(demo_voice()).blocks()))[:64_000]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((20000 * samples).astype("<i2").tobytes())
    with open_engine("starter") as opened:
        engine, style = opened.engine, motion_style(opened.engine.spec, Settings())
        return engine.mouth_curves(engine.predict_motion(open_speech(path, "voice"), engine.neutral_motion(), style))


@pytest.fixture(scope="module")
def rolling_head(tmp_path_factory):
    """Folder with a sharp and a blurred video of 24 frames in which a head rolls by six degrees, and its angles."""
    from skimage import data

    folder = tmp_path_factory.mktemp("rolling_head")
    picture = data.astronaut()
    angles_deg = ROLL_DEG * np.sin(2 * np.pi * np.arange(24) / 24)
    frames = [
        cv2.warpAffine(
            picture, cv2.getRotationMatrix2D((225, 130), -angle, 1.0), (512, 512), borderMode=cv2.BORDER_REPLICATE
        )
        for angle in angles_deg
    ]
    write_video(frames, folder / "sharp.mp4", VideoSpec())
    write_video((cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in frames), folder / "soft.mp4", VideoSpec())
    return folder, np.deg2rad(angles_deg)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to measure"),
        (["a.mp4", "--render"], "--render makes its own videos"),
        (["a.mp4", "--clip", "anna"], "name it with --lips"),
        (["a.mp4", "--fid-network", "net.pt"], "name the original video or folder with --reference"),
        (["a.mp4", "--measure", "csim"], "name it with --portrait or --reference"),
        (["--voice", "v.wav", "--measure", "lse"], "The measure lse needs finished videos"),
        (["a.mp4", "--measure", "lse", "--every", "0"], "--every is 0"),
        (["a.mp4", "--lse-faces", "sfd_face.pth"], "The flag --lse-faces is for LSE; add --measure lse"),
        (["a.mp4", "--measure", "lse"], r"needs the file syncnet_v2\.model .*--lse-network FILE"),
        (["--lips", "absent.json"], r"absent\.json cannot be read"),
        (["--voice", "absent.wav"], r"absent\.wav"),
        (["--voice", "v.wav", "--engine", "starter", "--pose-style", "angry"], "angry"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message):
    with pytest.raises(SadTalkerError, match=message):
        evaluate_command(*arguments)


def test_predicted_motion_is_compared_with_the_speaker(tmp_path, capsys):
    opening, width = write_voice(tmp_path / "anna.wav")
    late, wider = np.concatenate([opening[:2], opening[:-2]]), 0.1 + 2.0 * width
    lips = {"anna": {"fps": 25, "openness": late.tolist(), "width": wider.tolist()}}
    (tmp_path / "lips.json").write_text(json.dumps(lips))
    assert evaluate_command("--lips", str(tmp_path / "lips.json"), "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert set(content["clips"]) == {"anna", "silence", "noise", "music"}
    assert content["clips"]["anna"]["opening_r"] > 0.99
    assert content["clips"]["anna"]["opening_lag"] == pytest.approx(-80.0)
    assert content["clips"]["anna"]["width_r"] > 0.99
    assert content["clips"]["anna"]["speed"] > 1
    assert content["clips"]["silence"]["opening_unvoiced"] < 10
    assert 0 <= content["clips"]["noise"]["opening_unvoiced"] < 100
    (tmp_path / "anna.wav").unlink()
    with pytest.raises(SadTalkerError, match="no audio file named anna beside"):
        evaluate_command("--lips", str(tmp_path / "lips.json"))


def test_known_roll_is_tracked(rolling_head):
    folder, angles_rad = rolling_head
    track = track_video(folder / "sharp.mp4")
    assert track.detected_share == 1.0
    error_deg = np.rad2deg(np.abs(track.rotation[:, 2] - angles_rad + angles_rad[0]))
    assert error_deg.max() < 1.0
    assert np.rad2deg(np.abs(track.rotation[:, :2])).max() < 3.0
    assert np.ptp(track.opening) < 0.08


def test_video_is_compared_with_a_reference(rolling_head, capsys):
    folder, _ = rolling_head
    assert evaluate_command(str(folder / "soft.mp4"), "--reference", str(folder / "sharp.mp4"), "--json") == 0
    soft = json.loads(capsys.readouterr().out)["clips"]["soft.mp4"]
    assert evaluate_command(str(folder / "sharp.mp4"), "--reference", str(folder / "sharp.mp4")) == 0
    table = capsys.readouterr().out
    sharp = {line.split()[0]: line.split()[1] for line in table.splitlines()[2:]}
    assert soft["cpbd"] < float(sharp["cpbd"])
    assert 15 < soft["psnr"] < 45
    assert soft["ssim"] < 0.99
    assert sharp["psnr"] == "inf"
    assert float(sharp["ssim"]) == pytest.approx(1.0)
    assert soft["head_diversity"] == pytest.approx(ROLL_DEG / np.sqrt(2) / 3, rel=0.35)
    assert soft["head_beats"] is None
