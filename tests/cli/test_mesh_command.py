"""``sadtalker mesh`` and ``animate --mesh`` end to end; the files are read back by other libraries."""

import csv
import json
import wave

import numpy as np
import pygltflib
import pytest

from sadtalker_ext.video.read import probe, read_frames

FRAMES = 10


@pytest.fixture(scope="module", autouse=True)
def small_shaded_pictures():
    from sadtalker_ext.mesh import shading

    size, shading.SIZE_PX = shading.SIZE_PX, 96
    yield
    shading.SIZE_PX = size


def track(path, name):
    """The values of one animated property of the head, or of the targets of the face."""
    document = pygltflib.GLTF2().load_binary(str(path))
    (animation,) = document.animations
    channel = next(channel for channel in animation.channels if channel.target.path == name)
    accessor = document.accessors[animation.samplers[channel.sampler].output]
    view = document.bufferViews[accessor.bufferView]
    values = np.frombuffer(document.binary_blob(), "<f4", view.byteLength // 4, view.byteOffset)
    return values.reshape(FRAMES, -1) if name == "weights" else values.reshape(accessor.count, -1)


def test_mesh_writes_all_files(program, portrait, voice, tmp_path):
    flags = ("--blendshapes", "new/face.csv", "--shaded", "new/shaded.mp4", "--json", "--quiet", "--yaw", "0,20")
    assert program("mesh", portrait, voice, "-o", "new/face.glb", *flags) == 0
    result = json.loads(program.out)
    assert (result["frames"], result["duration_s"], result["notes"]) == (FRAMES, 0.4, [])
    folder = tmp_path / "new"
    assert sorted(path.name for path in folder.iterdir()) == ["face.csv", "face.glb", "face.wav", "shaded.mp4"]
    yaw = 2.0 * np.arcsin(track(folder / "face.glb", "rotation")[:, 1])
    assert np.rad2deg(yaw[[0, -1]]) == pytest.approx([0.0, 20.0], abs=0.01)
    with wave.open(str(folder / "face.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(0.4, abs=1e-3)
        assert sound.getsampwidth() == 2
    with (folder / "face.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == FRAMES
    assert float(rows[-1]["HeadYaw"]) == pytest.approx(np.deg2rad(20.0), abs=1e-4)
    info = probe(folder / "shaded.mp4")
    assert (info.width_px, info.height_px, info.has_audio) == (96, 96, True)
    assert sum(1 for _ in read_frames(folder / "shaded.mp4")) == FRAMES


def test_animate_writes_the_same_mesh_as_mesh(program, portrait, voice, tmp_path):
    assert program("animate", portrait, voice, "-o", "talking.mp4", "--mesh", "talking.glb", "--quiet") == 0
    assert "3D model: talking.glb" in program.out
    assert program("mesh", portrait, voice, "-o", "face.glb", "--quiet") == 0
    for name in ("weights", "rotation", "translation"):
        assert np.array_equal(track(tmp_path / "talking.glb", name), track(tmp_path / "face.glb", name))
    assert (tmp_path / "talking.mp4").is_file()


def test_setting_writes_the_mesh_beside_the_video(program, portrait, voice, tmp_path):
    assert program("animate", portrait, voice, "-o", "talking.mp4", "--model-3d", "--json", "--quiet") == 0
    assert json.loads(program.out)["model"] == "talking.glb"
    names = sorted(path.name for path in tmp_path.iterdir() if path.stem == "talking")
    assert names == ["talking.glb", "talking.mp4", "talking.wav"]


def test_idle_mesh_has_no_sound(program, portrait, tmp_path):
    assert program("mesh", portrait, "--idle", "0.4", "-o", "idle.glb", "--json", "--quiet") == 0
    assert "wav" not in json.loads(program.out)
    assert not (tmp_path / "idle.wav").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-o", "face.gltf"), "does not end in .glb: name it face.glb"),
        (("-o", "face.glb", "--blendshapes", "face.txt"), "does not end in .json or .csv"),
        (("-o", "face.glb", "--shaded", "face.gif"), "does not end in .mp4"),
        (("-o", "voice.glb"), "is also an input"),
    ],
)
def test_wrong_outputs_are_refused_before_the_work(program, portrait, voice, tmp_path, flags, message):
    before = sorted(tmp_path.iterdir())
    assert program("mesh", portrait, voice, *flags, "--quiet") == 2
    assert message in program.err
    assert sorted(tmp_path.iterdir()) == before


def test_one_mesh_for_several_videos_is_refused(program, portrait, voice):
    assert program("animate", portrait, portrait, voice, "--mesh", "face.glb", "--quiet") == 2
    assert "--model-3d" in program.err


def test_nothing_is_left_if_the_video_fails(program, portrait, voice, tmp_path, monkeypatch):
    from sadtalker_ext.errors import MediaError
    from sadtalker_ext.pipeline import animate

    def fail(*_):
        raise MediaError("The disk is full")

    monkeypatch.setattr(animate, "_write", fail)
    assert program("animate", portrait, voice, "-o", "new/talking.mp4", "--mesh", "new/talking.glb", "--quiet") == 2
    assert not (tmp_path / "new").exists()


def test_sound_is_that_of_the_channel_with_the_speech(program, portrait, tmp_path):
    """The other channel is silent; the video has only the channel that moves the lips, and so does the WAV file."""
    from sadtalker_ext.audio.speech import open_speech

    time_s = np.arange(16000) / 16000
    speech = 0.3 * np.sin(2 * np.pi * 4 * time_s) ** 2 * np.sign(np.sin(2 * np.pi * 140 * time_s))
    both = np.stack([np.zeros_like(speech), speech], axis=1)
    with wave.open(str(tmp_path / "two.wav"), "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        file.writeframes((32767 * both).astype("<i2").tobytes())
    assert program("mesh", portrait, tmp_path / "two.wav", "-o", "face.glb", "--quiet") == 0
    source = open_speech(tmp_path / "two.wav").source
    with wave.open(str(tmp_path / "face.wav")) as sound:
        assert sound.getnchannels() == (2 if source.channel is None else 1)
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, sound.getnchannels())
    assert np.abs(samples[:, -1] / 32767 - speech).max() < 0.01
