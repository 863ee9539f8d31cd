"""Written videos: audio, frame rate, colours, tags and names."""

import subprocess
import threading

import numpy as np
import pytest
from sample_frames import natural, nothing_left, still

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.video.metadata import read_metadata
from sadtalker_ext.video.read import probe, read_frames
from sadtalker_ext.video.write import VideoSpec, write_video


def stream_lengths_s(path):
    """Length of the pictures and of the sound, counted by decoding both."""
    sound = open_speech(path).duration_s
    return len(list(read_frames(path))) / probe(path).rate_hz, sound


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


def test_frames_may_come_from_another_thread(tmp_path):
    reports = []
    worker = threading.Thread(
        target=lambda: reports.append(write_video(still(10), tmp_path / "o.mp4", VideoSpec(threads=1)))
    )
    worker.start()
    worker.join()
    assert reports[0].frames == 10


def test_sound_that_is_complete_at_the_end(make_media, tmp_path):
    """The video equals one whose sound is known from the start: pictures, sound, tags and layout of the file."""
    sound, frames = make_media("sound.wav", "sine=300:d=0.9:r=22050"), list(still(20))

    def give():
        yield from frames[:-1]
        sound.rename(tmp_path / "late.wav")
        yield frames[-1]

    early = write_video(frames, tmp_path / "a.mp4", VideoSpec(25.0, 20, sound, metadata={"title": "t"}))
    late = VideoSpec(25.0, late_audio=tmp_path / "late.wav", metadata={"title": "t"})
    report = write_video(give(), tmp_path / "b.mp4", late)
    assert (report.frames, report.duration_s) == (early.frames, early.duration_s)
    one, other = (np.stack(list(read_frames(tmp_path / name))) for name in ("a.mp4", "b.mp4"))
    assert np.array_equal(one, other)
    one, other = (open_speech(tmp_path / name).samples() for name in ("a.mp4", "b.mp4"))
    assert np.array_equal(one, other)
    assert read_metadata(tmp_path / "b.mp4")["title"] == "t"
    data = (tmp_path / "b.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert nothing_left(tmp_path, "a.mp4", "b.mp4", "late.wav")


def test_nothing_is_left_when_the_late_sound_is_missing(tmp_path):
    with pytest.raises(MediaError, match="audio file"):
        write_video(still(3), tmp_path / "a.mp4", VideoSpec(late_audio=tmp_path / "missing.wav"))
    assert nothing_left(tmp_path)
