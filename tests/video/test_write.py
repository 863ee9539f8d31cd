import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.errors import Cancelled, MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.video.metadata import read_metadata
from sadtalker_ext.video.read import probe, read_frames
from sadtalker_ext.video.write import VideoSpec, write_video


def natural(height, width, seed=0):
    """A picture with the soft gradients and fine grain of a photograph, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(6 * rows * (1 + c) + 4 * columns * (3 - c) + c) for c in range(3)]
    return np.clip(120 + 70 * np.stack(waves, 2) + rng.normal(0, 3, (height, width, 3)), 0, 255).astype(np.uint8)


def still(count, height=64, width=64):
    picture = natural(height, width)
    for _ in range(count):
        yield picture


def stream_lengths_s(path):
    """Length of the pictures and of the sound, counted by decoding both."""
    sound = open_speech(path).duration_s
    return len(list(read_frames(path))) / probe(path).rate_hz, sound


def is_temporary(name):
    return name.startswith(".sadtalker-") and name.endswith(".part")


def nothing_left(folder, *expected):
    return sorted(os.listdir(folder)) == sorted(expected)


@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (22050, 1), (44100, 2), (96000, 2), (192000, 2)])
@pytest.mark.parametrize("frames", [5, 60, 83])
def test_audio_ends_with_the_video_and_keeps_its_rate(make_media, tmp_path, rate_hz, channels, frames):
    sound = make_media("s.wav", f"sine=440:r={rate_hz}:d=2.4", arguments=("-ac", str(channels)))
    spec = VideoSpec(frame_count=frames, audio=sound)
    report = write_video(still(frames), tmp_path / "out.mp4", spec)
    info = probe(report.path)
    assert (info.audio.codec, info.audio.channels) == ("aac", channels)
    assert info.audio.rate_hz == (rate_hz if rate_hz <= 96000 else 48000)
    assert report.frames == frames
    picture_s, sound_s = stream_lengths_s(report.path)
    assert picture_s == frames / 25 == report.duration_s
    assert abs(picture_s - sound_s) < 0.001


@pytest.mark.parametrize("rate_hz", [24, 30000 / 1001, 50])
def test_other_frame_rates(make_media, tmp_path, rate_hz):
    sound = make_media("s.wav", "sine=440:r=44100:d=2")
    report = write_video(still(41), tmp_path / "o.mp4", VideoSpec(rate_hz=rate_hz, frame_count=41, audio=sound))
    assert probe(report.path).rate_hz == pytest.approx(rate_hz, abs=1e-6)
    picture_s, sound_s = stream_lengths_s(report.path)
    assert picture_s == pytest.approx(41 / rate_hz)
    assert abs(picture_s - sound_s) < 0.001


def test_audio_is_the_original_not_the_16_khz_version(make_media, tmp_path):
    sound = make_media("s.wav", "sine=13000:r=48000:d=1")
    path = write_video(still(25), tmp_path / "o.mp4", VideoSpec(frame_count=25, audio=sound)).path
    decode = [ffmpeg_program(), "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-"]
    wave = np.frombuffer(subprocess.run(decode, check=True, capture_output=True).stdout, np.float32)
    spectrum = np.abs(np.fft.rfft(wave[4800:43200]))
    assert np.argmax(spectrum) * 48000 / 38400 == pytest.approx(13000, abs=3)
    assert np.abs(wave[4800:43200]).max() == pytest.approx(0.125, abs=0.01)  # lavfi's sine is 1/8 high


def test_audio_of_a_late_stream_starts_at_once_like_the_decoded_speech(make_media, tmp_path):
    late = make_media("late.mkv", "color=s=64x64:d=2", "sine=d=1", arguments=("-filter:a", "asetpts=PTS+0.7/TB"))
    frames = open_speech(late).frames
    path = write_video(still(frames), tmp_path / "o.mp4", VideoSpec(frame_count=frames, audio=late)).path
    heard, written = open_speech(late).samples(), open_speech(path).samples()
    assert np.abs(written[800:8000]).max() == pytest.approx(np.abs(heard[800:8000]).max(), rel=0.1)


@pytest.mark.parametrize("layout", ["5.1", "7.1", "2.1"])
def test_surround_sound(make_media, tmp_path, layout):
    sound = make_media("s.wav", f"anoisesrc=d=1:a=0.1,pan={layout}|c0=c0|c1=c0|c2=c0")
    path = write_video(still(25), tmp_path / "o.mp4", VideoSpec(frame_count=25, audio=sound)).path
    assert probe(path).audio.channels == (6 if layout == "5.1" else 2)
    assert open_speech(path).duration_s == pytest.approx(1.0, abs=0.001)


def test_video_without_audio(tmp_path):
    report = write_video(still(10), tmp_path / "o.mp4", VideoSpec())
    assert not probe(report.path).has_audio
    assert (report.frames, report.width, report.height) == (10, 64, 64)
    assert report.size_bytes == report.path.stat().st_size
    assert nothing_left(tmp_path, "o.mp4")


def test_playable_in_browsers(make_media, tmp_path):
    sound = make_media("s.wav", "sine=d=1")
    path = write_video(still(25), tmp_path / "o.mp4", VideoSpec(frame_count=25, audio=sound)).path
    said = subprocess.run([ffmpeg_program(), "-i", path], check=False, capture_output=True, text=True).stderr
    assert "yuv420p(tv, bt709" in said
    assert "h264 (High)" in said
    assert "aac (LC)" in said
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("size", [(256, 320), (255, 320), (256, 319), (255, 319), (65, 65)])
@pytest.mark.parametrize(("quality", "bound"), [("best", 1.0), ("good", 1.5), ("small", 3.0)])
def test_colours_and_odd_sizes(tmp_path, size, quality, bound):
    picture = natural(*size)
    report = write_video(iter([picture] * 5), tmp_path / "o.mp4", VideoSpec(quality=quality))
    assert (report.height, report.width) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    frames = list(read_frames(report.path))
    assert len(frames) == 5
    shown = frames[-1].astype(float)
    assert shown.shape == (report.height, report.width, 3)
    difference = shown[: size[0], : size[1]] - picture
    assert np.abs(difference.mean(axis=(0, 1))).max() < bound / 2
    assert np.abs(difference.mean()) < bound / 2
    assert np.abs(shown[-1, : size[1]] - picture[-1]).mean() < 8  # the added row repeats the last
    assert np.abs(shown[: size[0], -1] - picture[:, -1]).mean() < 8


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255), (200, 140, 110)])
def test_pure_colours(tmp_path, colour):
    flat = np.full((64, 64, 3), colour, np.uint8)
    path = write_video(iter([flat] * 3), tmp_path / "o.mp4", VideoSpec()).path
    assert np.abs(next(read_frames(path)).astype(int) - colour).max() <= 3


def test_order_and_views(tmp_path):
    """Frames that are views of larger arrays, mirrored or strided, come out as they look."""
    wide = natural(64, 256)
    views = [wide[:, :64], wide[:, 255:191:-1], wide[:, ::4], wide[::-1, 64:128]]
    path = write_video(iter(views), tmp_path / "o.mp4", VideoSpec(quality="best")).path
    for shown, view in zip(read_frames(path), views, strict=True):
        assert np.abs(shown.astype(float) - view).mean() < 4


def test_tags_are_written(tmp_path):
    tags = {"comment": '{"a": "= ; # \\\\ \\n 日本語"}\nnext', "description": "AI-generated", "title": "x"}
    path = write_video(still(3), tmp_path / "o.mp4", VideoSpec(metadata=tags)).path
    read = read_metadata(path)
    assert {name: read[name] for name in tags} == tags


def test_tags_of_the_audio_are_not_copied(make_media, tmp_path):
    sound = make_media("s.mp3", "sine=d=1", arguments=("-metadata", "comment=private", "-metadata", "artist=someone"))
    path = write_video(still(25), tmp_path / "o.mp4", VideoSpec(frame_count=25, audio=sound)).path
    assert not {"comment", "artist"} & set(read_metadata(path))


def test_folders_are_created_and_unusual_names_work(tmp_path):
    path = tmp_path / "new folder" / "日本" / "-y %03d 'a' http:b.MP4"
    assert write_video(still(3), path, VideoSpec()).path == path
    assert nothing_left(path.parent, path.name)


def test_older_result_is_replaced_only_by_a_complete_one(tmp_path):
    old = tmp_path / "o.mp4"
    old.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_video(failing(RuntimeError("renderer")), old, VideoSpec())
    assert old.read_bytes() == b"old"
    write_video(still(3), old, VideoSpec())
    assert probe(old).has_video
    assert nothing_left(tmp_path, "o.mp4")


def failing(error, after=20):
    yield from still(after)
    raise error


@pytest.mark.parametrize("after", [0, 1, 30])
@pytest.mark.parametrize("error", [RuntimeError(), OSError(), KeyboardInterrupt(), Cancelled(), GeneratorExit()])
def test_nothing_remains_when_frames_fail(tmp_path, error, after):
    threads = threading.active_count()
    with pytest.raises(type(error)) as caught:
        write_video(failing(error, after), tmp_path / "o.mp4", VideoSpec())
    assert caught.value is error
    assert nothing_left(tmp_path)
    assert threading.active_count() == threads


ENDLESS = """
import signal, sys, numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes what runs in the background deaf to it
from sadtalker_ext.video.write import VideoSpec, write_video
def frames():
    for number in range(10**9):
        if number == 50:
            print("running", flush=True)
        yield np.zeros((64, 64, 3), np.uint8)
write_video(frames(), sys.argv[1], VideoSpec())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", ENDLESS, str(tmp_path / "o.mp4")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "running\n"
        assert [is_temporary(name) for name in os.listdir(tmp_path)] == [True]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert "KeyboardInterrupt" in said
    assert nothing_left(tmp_path)


def test_frames_are_written_to_a_temporary_file(tmp_path):
    seen = []

    def frames():
        for frame in still(5):
            seen.append(sorted(os.listdir(tmp_path)))
            yield frame

    write_video(frames(), tmp_path / "o.mp4", VideoSpec())
    assert all(len(names) == 1 and is_temporary(names[0]) for names in seen)


def test_no_frames(tmp_path):
    with pytest.raises(MediaError, match="no frames"):
        write_video(iter([]), tmp_path / "o.mp4", VideoSpec())
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("frames", [9, 11])
def test_fewer_or_more_frames_than_announced(tmp_path, frames):
    with pytest.raises(MediaError, match=f"{frames} frames where 10"):
        write_video(still(frames), tmp_path / "o.mp4", VideoSpec(frame_count=10))
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    "wrong", [np.zeros((64, 66, 3), np.uint8), np.zeros((64, 64, 3)), np.zeros((64, 64), np.uint8)]
)
def test_invalid_frame_raises_value_error(tmp_path, wrong):
    for frames in ([natural(64, 64), wrong], [wrong, natural(64, 64)]):
        with pytest.raises(ValueError, match="uint8"):
            write_video(iter(frames), tmp_path / "o.mp4", VideoSpec())
    assert nothing_left(tmp_path)


def never():
    pytest.fail("frames were asked for although the place cannot be used")
    yield


def test_unusable_outputs_are_rejected_before_the_first_frame(make_media, tmp_path):
    sound = make_media("s.mp4", "color=s=64x64:d=1", "sine=d=1")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    for name, spec, message in [
        ("folder.mp4", VideoSpec(), "is a folder"),
        ("a.avi", VideoSpec(), r"does not end in \.mp4: name it a\.mp4"),
        ("noend", VideoSpec(), r"noend\.mp4"),
        ("file/a.mp4", VideoSpec(), "cannot be written"),
        (f"{'x' * 300}.mp4", VideoSpec(), "cannot be written"),
        ("s.mp4", VideoSpec(audio=sound, frame_count=25), "would overwrite it"),
        ("a.mp4", VideoSpec(quality="huge"), "small, good, best"),
        ("a.mp4", VideoSpec(audio=tmp_path / "none.wav", frame_count=1), "does not exist"),
        ("a.mp4", VideoSpec(audio=tmp_path / "file", frame_count=1), "is empty"),
    ]:
        with pytest.raises(MediaError, match=message) as caught:
            write_video(never(), tmp_path / name, spec)
        assert "\n" not in str(caught.value)
    assert nothing_left(tmp_path, "s.mp4", "folder.mp4", "file")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(MediaError, match="Permission denied"):
        write_video(never(), tmp_path / "a.mp4", VideoSpec())
    tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("frames", [3, 200])
def test_full_disk(tmp_path, frames, monkeypatch):
    monkeypatch.setattr("sadtalker_ext.video.write.file_argument", lambda _: "file:/dev/full")
    noise = (natural(128, 128, seed) for seed in range(frames))
    with pytest.raises(MediaError, match=r"disk of .*o\.mp4 is full"):
        write_video(noise, tmp_path / "o.mp4", VideoSpec(quality="best"))
    assert nothing_left(tmp_path)


def test_error_contains_the_message_of_a_failed_ffmpeg(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nhead -c 100000 >/dev/null\necho '[out#0 @ 0x55] The moon is full' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr("sadtalker_ext.ffmpeg.ffmpeg_program", lambda: str(program))
    with pytest.raises(MediaError, match=r"\(ffmpeg: The moon is full\)"):
        write_video(still(500), tmp_path / "o.mp4", VideoSpec())
    assert nothing_left(tmp_path, "ffmpeg")


def test_many_messages_do_not_block_ffmpeg(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nyes 'a long complaint about something' | head -c 3000000 >&2\ncat >/dev/null\n")
    program.chmod(0o755)
    monkeypatch.setattr("sadtalker_ext.ffmpeg.ffmpeg_program", lambda: str(program))
    assert write_video(still(100), tmp_path / "o.mp4", VideoSpec()).frames == 100


def test_frames_may_come_from_another_thread(tmp_path):
    reports = []
    worker = threading.Thread(
        target=lambda: reports.append(write_video(still(10), tmp_path / "o.mp4", VideoSpec(threads=1)))
    )
    worker.start()
    worker.join()
    assert reports[0].frames == 10


def test_errors_show_the_display_name_instead_of_the_path(tmp_path):
    target = tmp_path / "o.avi"
    with pytest.raises(MediaError) as caught:
        write_video(never(), target, VideoSpec())
    assert str(tmp_path) not in caught.value.describe({target: "me.avi"})
