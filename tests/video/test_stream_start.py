"""Sound that starts later or earlier than the picture in the container is aligned for measurements and training."""

import subprocess
import wave

import numpy as np
import pytest

from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.pipeline.evaluate_lip_sync import read_pcm
from sadtalker_ext.training.clips.prepare_clips import _read_sound
from sadtalker_ext.video.stream_start import align_sound, sound_delay_s
from sadtalker_ext.video.write import VideoSpec, write_video

CLICK_S = 0.5


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Videos of 1.6 s with a click at 0.5 s of the sound, which starts later (or earlier) by the name in seconds."""
    folder = tmp_path_factory.mktemp("videos")
    samples = np.zeros(25600, np.int16)
    samples[round(CLICK_S * 16000) :][:200] = 20000
    with wave.open(str(folder / "click.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    frames = [np.full((64, 64, 3), 90 + number, np.uint8) for number in range(40)]
    write_video(frames, folder / "plain.mp4", VideoSpec(25.0, 40, folder / "click.wav"))
    for name, offsets in (("0.3.mp4", (0, 0.3)), ("0.3.mkv", (0, 0.3)), ("-0.2.mkv", (0.2, 0))):
        inputs = [part for offset in offsets for part in ("-itsoffset", str(offset), "-i", str(folder / "plain.mp4"))]
        command = [ffmpeg_program(), "-v", "error", *inputs, "-map", "0:v", "-map", "1:a", "-c", "copy"]
        subprocess.run([*command, str(folder / name)], check=True)
    return folder


def click_s(samples):
    return np.flatnonzero(np.abs(samples) > 5000)[0] / 16000


@pytest.mark.parametrize(
    ("name", "delay_s"), [("plain.mp4", 0.0), ("0.3.mp4", 0.3), ("0.3.mkv", 0.3), ("-0.2.mkv", -0.2)]
)
def test_sound_is_where_the_container_says(videos, name, delay_s):
    for samples in (read_pcm(videos / name), _read_sound(videos / name)):
        assert click_s(samples) == pytest.approx(CLICK_S + delay_s, abs=0.005)


def test_files_with_one_stream_have_no_delay(videos, tmp_path):
    assert sound_delay_s(videos / "click.wav") == 0.0
    frames = [np.zeros((64, 64, 3), np.uint8)] * 5
    write_video(frames, tmp_path / "mute.mp4", VideoSpec())
    assert sound_delay_s(tmp_path / "mute.mp4") == 0.0


def test_sound_is_padded_or_cut():
    samples = np.arange(1, 6, dtype=np.int16)
    assert align_sound(samples, 0.2, 10).tolist() == [0, 0, 1, 2, 3, 4, 5]
    assert align_sound(samples, -0.2, 10).tolist() == [3, 4, 5]
    assert align_sound(samples, 0.0, 10).dtype == np.int16
