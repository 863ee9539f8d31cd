"""Self-reenactment of a rendered video: its own motion is recovered, and rendering beats the unchanged portrait."""

from __future__ import annotations

import argparse
import json

import cv2
import numpy as np
import pytest
from skimage import data

from sadtalker_ext.cli import evaluate
from sadtalker_ext.engines.session import open_engine
from sadtalker_ext.errors import EngineError, FaceError, SettingsError
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.pipeline.evaluate_reenact import reenactment_metrics
from sadtalker_ext.pipeline.portrait import read_portrait
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.puppet.basis import SHAPE_INDEX, SHAPES
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.write import VideoSpec, write_video

FRAMES = 16


def known_motion():
    """A head that turns and a mouth that opens and closes; the first frame is the portrait."""
    phase = np.linspace(0.0, 2.0 * np.pi, FRAMES)
    expression = np.zeros((FRAMES, len(SHAPES)), np.float32)
    expression[:, SHAPE_INDEX["jaw_open"]] = 0.25 * (1.0 - np.cos(phase))
    expression[:, SHAPE_INDEX["blink_left"]] = expression[:, SHAPE_INDEX["blink_right"]] = np.sin(phase / 2) ** 8
    rotation = np.stack([0.05 * np.sin(phase), 0.08 * np.sin(phase), 0.04 * np.sin(phase)], axis=1)
    translation = np.stack([0.03 * np.sin(phase), 0.02 * np.sin(phase), 0.0 * phase], axis=1)
    return Motion(expression, rotation.astype(np.float32), translation.astype(np.float32))


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    """A video of a portrait that moves by known motion."""
    folder = tmp_path_factory.mktemp("speaker")
    cv2.imwrite(str(folder / "portrait.png"), data.astronaut()[:400, 50:450, ::-1])
    portrait = read_portrait(folder / "portrait.png", Settings()).portrait
    with open_engine("starter") as opened:
        source = opened.engine.read_face(portrait)
        frames = list(opened.engine.render(portrait, source, known_motion()))
    write_video(frames, folder / "speaker.mp4", VideoSpec(quality="best"))
    return folder / "speaker.mp4"


def evaluate_command(*arguments):
    parser = argparse.ArgumentParser()
    evaluate.add_command(parser.add_subparsers())
    options = parser.parse_args(["evaluate", *arguments])
    return options.run(options)


def test_rendered_video_is_reenacted(speaker, capsys):
    assert evaluate_command("--reenact", str(speaker), "--json", "--quiet") == 0
    report = json.loads(capsys.readouterr().out)
    found = report["clips"]["speaker"]
    assert found["face_seen"] == 100
    for region in ("face", "mouth", "eyes"):
        assert found[f"{region}_landmarks"] < 0.4 * found[f"{region}_landmarks_unchanged"]
        assert 1 - found[f"{region}_ssim"] < 0.6 * (1 - found[f"{region}_ssim_unchanged"])
        assert found[f"{region}_psnr"] > found[f"{region}_psnr_unchanged"] + 2
    assert report["figures"]["mouth_landmarks"]["better"] == "lower"


def test_other_inputs_are_refused_beside_reenact(speaker):
    with pytest.raises(SettingsError, match="makes its own videos"):
        evaluate_command(str(speaker), "--reenact", str(speaker))


def test_video_without_a_second_face_is_refused(tmp_path):
    frames = [data.astronaut(), np.zeros_like(data.astronaut())]
    write_video(frames, tmp_path / "short.mp4", VideoSpec())
    with open_engine("starter") as opened, pytest.raises(FaceError, match="only one frame"):
        reenactment_metrics(tmp_path / "short.mp4", opened.engine, Settings(), Watcher())


def test_engines_that_cannot_copy_motion_are_refused(speaker):
    from toy_engine import ToyEngine

    with pytest.raises(EngineError, match="cannot copy the motion"):
        reenactment_metrics(speaker, ToyEngine(), Settings(), Watcher())
