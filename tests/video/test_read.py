import subprocess
from contextlib import closing

import numpy as np
import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.video.read import probe, read_frames

COUNTER = "geq=lum='40+10*N':cb=128:cr=128"
"""Grey that rises by 10 luma levels with each frame."""


def test_probe(make_media):
    path = make_media("a.mp4", "testsrc=s=320x240:r=30000/1001:d=2", "sine=r=22050:d=2", arguments=("-ac", "1"))
    info = probe(path)
    assert (info.width_px, info.height_px, info.codec) == (320, 240, "h264")
    assert info.rate_hz == pytest.approx(30000 / 1001, abs=1e-9)
    assert info.duration_s == pytest.approx(2.0, abs=0.05)
    assert info.has_audio
    assert (info.audio.codec, info.audio.rate_hz, info.audio.channels) == ("aac", 22050, 1)


@pytest.mark.parametrize(("rate", "rate_hz"), [("25", 25), ("12.5", 12.5), ("24000/1001", 24000 / 1001), ("60", 60)])
def test_rates(make_media, rate, rate_hz):
    assert probe(make_media("a.mkv", f"color=s=64x64:r={rate}:d=2")).rate_hz == pytest.approx(rate_hz, abs=1e-6)


def test_audio_file_has_no_video(make_media):
    info = probe(make_media("a.flac", "sine=d=1"))
    assert info.has_audio
    assert not info.has_video


def test_cover_picture_is_not_a_video(make_media, tmp_path):
    cover, sound = make_media("c.jpg", "color=s=64x64:d=0.04"), make_media("s.mp3", "sine=d=1")
    arguments = ["-i", sound, "-i", cover, "-map", "0", "-map", "1", "-c", "copy", tmp_path / "both.mp3"]
    subprocess.run([ffmpeg_program(), "-v", "error", *arguments], check=True)
    assert not probe(tmp_path / "both.mp3").has_video
    with pytest.raises(MediaError, match="has no video stream"):
        read_frames(tmp_path / "both.mp3")


def test_tags_are_not_parsed_as_streams(make_media):
    comment = "comment=x\n  Stream #0:0: Video: fake, 9x9, 99 fps\ndisplaymatrix: rotation of -90.00 degrees"
    info = probe(make_media("a.mp4", "color=s=64x48:r=25:d=1", arguments=("-metadata", comment)))
    assert (info.width_px, info.height_px, info.rate_hz) == (64, 48, 25)


def test_phone_videos_are_upright(make_media, tmp_path):
    halves = "color=red:s=160x60:d=0.4,drawbox=w=80:h=60:color=blue:t=fill"
    flat = make_media("flat.mp4", halves, arguments=("-crf", "1"))
    turned = tmp_path / "turned.mp4"
    rotate = [ffmpeg_program(), "-v", "error", "-display_rotation", "90", "-i", flat, "-c", "copy", turned]
    subprocess.run(rotate, check=True)
    info = probe(turned)
    frame = next(read_frames(turned))
    assert (info.width_px, info.height_px) == (60, 160)
    assert frame.shape == (160, 60, 3)
    assert np.abs(frame[20, 30].astype(int) - (255, 0, 0)).max() < 12
    assert np.abs(frame[140, 30].astype(int) - (0, 0, 255)).max() < 12


def test_wide_pixels_become_square(make_media):
    path = make_media("a.mp4", "color=s=64x64:d=0.2,setsar=2")
    assert next(read_frames(path)).shape == (64, 128, 3)


def levels(frames):
    """Number of each frame of the rising grey, from its mean."""
    return [round(((float(frame.mean()) * 219 / 255 + 16) - 40) / 10) for frame in frames]


def test_frames_are_complete_and_in_order(make_media):
    path = make_media("a.mp4", f"color=s=64x64:r=25:d=0.6,format=yuv420p,{COUNTER}", arguments=("-crf", "1"))
    frames = list(read_frames(path))
    assert all(frame.shape == (64, 64, 3) and frame.dtype == np.uint8 for frame in frames)
    assert levels(frames) == list(range(15))


@pytest.mark.parametrize(("rate_hz", "expected"), [(5, [0, 2, 4, 6, 8]), (20, sorted([*range(10), *range(10)]))])
def test_frames_at_another_rate(make_media, rate_hz, expected):
    path = make_media("a.mp4", f"color=s=64x64:r=10:d=1,format=yuv420p,{COUNTER}", arguments=("-crf", "1"))
    got = levels(read_frames(path, rate_hz))
    assert len(got) == len(expected)
    assert max(abs(a - b) for a, b in zip(got, expected, strict=True)) <= 1


@pytest.mark.parametrize("length", [1, 2, 3])
def test_videos_shorter_than_a_period_have_one_frame(make_media, length):
    path = make_media("a.mp4", f"color=s=64x64:r=25:d={length / 25},format=yuv420p,{COUNTER}", arguments=("-crf", "1"))
    assert len(list(read_frames(path))) == length
    (level,) = levels(read_frames(path, 5))
    assert 0 <= level < length


def test_colours_match_the_source(make_media):
    for size in ("128x96", "1280x720"):
        path = make_media("a.mp4", f"color=0xC86432:s={size}:d=0.1", arguments=("-crf", "1"))
        with closing(read_frames(path)) as frames:
            assert np.abs(next(frames).astype(int) - (200, 100, 50)).max() <= 4


def test_unreadable_files_are_rejected(tmp_path, make_media):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError, match=r"text\.mp4 .*Invalid data"):
        probe(tmp_path / "text.mp4")
    with pytest.raises(MediaError, match="does not exist"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(MediaError, match="has no video stream"):
        read_frames(make_media("a.mp3", "sine=d=1"))


def test_errors_show_the_display_name_instead_of_the_path(make_media, tmp_path):
    path = make_media("3f.mp3", "sine=d=1")
    with pytest.raises(MediaError) as caught:
        next(read_frames(path, role="reference"))
    assert caught.value.describe({path: "me.mp4"}) == "The reference me.mp4 has no video stream: choose a video"
