"""Input files: which are accepted, and that no file makes ffmpeg open another one."""

import os
import socket
import struct
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.errors import ContainerError, MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program, file_input, read_header
from sadtalker_ext.system.input_files import FILE_DEMUXERS, is_playlist, picture_arguments, require_file
from sadtalker_ext.training.corpus.recordings import Recording, _read_samples
from sadtalker_ext.video.metadata import read_metadata
from sadtalker_ext.video.picture import read_picture
from sadtalker_ext.video.read import probe, read_frames
from sadtalker_ext.video.write import VideoSpec, write_video

OPENS_OTHERS = {
    *("hls", "applehttp", "dash", "concat", "imf", "sdp", "rtsp", "rtp", "sap", "webm_dash_manifest", "image2"),
    *("image2pipe", "vobsub", "avisynth", "vapoursynth", "lavfi", "tedcaptions", "svg_pipe", "ffmetadata", "libgme"),
    *("libopenmpt", "libmodplug", "dvdvideo", "bluray", "rawvideo", "data", "bin", "tty"),
}
LATE_S = 10.0
"""Much longer than a rejection takes, much shorter than ffmpeg waits for a live playlist."""


def first_frame(path):
    with closing(read_frames(path)) as frames:
        return next(frames)


def write_with(path):
    frames = (np.zeros((64, 64, 3), np.uint8) for _ in range(25))
    return write_video(frames, path.with_name("result.mp4"), VideoSpec(frame_count=25, audio=path))


READERS = {
    "voice": open_speech,
    "portrait": lambda path: read_picture(path, 512),
    "reference": first_frame,
    "probe": probe,
    "tags": read_metadata,
    "result's sound": write_with,
    "recording": _read_samples,
}


@pytest.mark.parametrize("ending", ["wav", "mp4", "mkv", "png", "m3u8"])
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_playlists_are_rejected_under_any_name(playlist, reader, ending):
    path = playlist(f"innocent.{ending}")
    began_s = time.monotonic()
    with pytest.raises(MediaError) as caught:
        reader(path)
    assert time.monotonic() - began_s < LATE_S
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert "secret" not in sentence
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, "private"]


def test_error_explains_what_to_choose_instead(playlist):
    with pytest.raises(MediaError) as caught:
        open_speech(playlist("voice.wav"))
    assert isinstance(caught.value, ContainerError)
    assert "playlists, stream descriptions" in str(caught.value)
    assert "choose the file with the audio" in str(caught.value)


def test_allow_list_contains_no_demuxer_that_opens_other_files():
    assert set(FILE_DEMUXERS).isdisjoint(OPENS_OTHERS)
    listed = subprocess.run([ffmpeg_program(), "-v", "quiet", "-demuxers"], check=True, capture_output=True, text=True)
    aliases = [line.split()[1].split(",") for line in listed.stdout.splitlines() if line.startswith(" D")]
    allowed = [names for names in aliases if set(names) & set(FILE_DEMUXERS)]
    assert len(allowed) > 100
    assert [names for names in allowed if set(names) & OPENS_OTHERS] == []


def test_every_input_has_both_lists():
    arguments = file_input(Path("a.wav"))
    assert arguments[:3] == ["-protocol_whitelist", "file", "-format_whitelist"]
    assert arguments[-2:] == ["-i", f"file:{Path('a.wav').absolute()}"]


def test_no_other_module_builds_input_arguments():
    """Inputs come from ``file_input``; the exceptions are pipes of this program's own data."""
    package = Path(__file__).parents[2] / "sadtalker_ext"
    found = {file.name for file in package.rglob("*.py") if '"-i"' in file.read_text("utf-8")}
    assert found == {"input_files.py", "ffmpeg.py", "write.py"}


@pytest.mark.parametrize(
    "name",
    ["concat:a|secret.wav", "-i", "-i.wav", "http:x.wav", "subfile,,start,0,end,0,,:secret.wav", "data:audio;base64,AA",
     "pipe:0", "fd:3", "crypto:secret.wav", "cache:secret.wav", "a%03d.wav", "%d", "a*.wav", "[a].wav", "{a,b}.wav",
     " ", "a\nb.wav", "file:secret.wav", "~", "$HOME.wav", "';touch x;'.wav"],
)  # fmt: skip
@pytest.mark.skipif(os.name == "nt", reason="these names are not possible there")
def test_any_name_is_only_a_file(secret, tmp_path, monkeypatch, name):
    tone = tmp_path / "tone.wav"
    subprocess.run([ffmpeg_program(), "-v", "error", "-f", "lavfi", "-i", "sine=d=0.5", tone], check=True)
    tone.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert open_speech(name).duration_s == pytest.approx(0.5, abs=0.01)
    assert probe(Path(name)).has_audio


@pytest.mark.parametrize("name", ["a%d", "a%03d", "a*", "a?", "a{b}", "a[b]"])
@pytest.mark.skipif(os.name == "nt", reason="these names are not possible there")
def test_pattern_characters_in_picture_names_are_literal(tmp_path, name):
    def picture(path, colour):
        source = ["-f", "lavfi", "-i", f"color={colour}:s=80x80:d=1", "-frames:v", "1", "-f", "image2", "-update", "1"]
        subprocess.run([ffmpeg_program(), "-v", "error", *source, tmp_path / "made.jxl"], check=True)
        (tmp_path / "made.jxl").rename(path)

    for other in ("a0", "a000", "a1", "a001", "ab", "ax"):
        picture(tmp_path / f"{other}.jxl", "red")
    picture(tmp_path / f"{name}.jxl", "lime")
    red, green, blue = read_picture(tmp_path / f"{name}.jxl", 512).pixels.reshape(-1, 3).mean(axis=0)
    assert green > 200
    assert max(red, blue) < 50


def test_pattern_with_existing_files_is_not_expanded(tmp_path):
    """A text named like a pattern must not become the pictures that the pattern names."""
    for index in range(3):
        Image.new("RGB", (100, 100), "red").save(tmp_path / f"private{index}.png")
    (tmp_path / "private%d.png").write_text("no picture\n")
    with pytest.raises(MediaError):
        read_picture(tmp_path / "private%d.png", 512)
    with pytest.raises(MediaError):
        first_frame(tmp_path / "private%d.png")


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def test_movie_with_samples_in_another_file_is_not_followed(secret, tmp_path):
    """QuickTime's data reference: the samples of track 1 are in the file that ``dref`` names."""
    made = tmp_path / "made.mov"
    source = ["-i", secret, "-c:a", "pcm_s16le", "-movflags", "faststart"]
    subprocess.run([ffmpeg_program(), "-v", "error", *source, made], check=True)
    data = made.read_bytes()
    inside = data.index(b"dref") - 4
    size = struct.unpack(">I", data[inside : inside + 4])[0]
    url = box(b"url ", bytes(4), b"file://" + str(secret).encode() + b"\0")
    outside = box(b"dref", struct.pack(">II", 0, 1), url)
    grown = len(outside) - size
    changed = bytearray(data[:inside] + outside + data[inside + size :])
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        at = changed.index(kind) - 4
        changed[at : at + 4] = struct.pack(">I", struct.unpack(">I", changed[at : at + 4])[0] + grown)
    (tmp_path / "other.mov").write_bytes(bytes(changed[: changed.index(b"mdat") + 4]))
    with pytest.raises(MediaError):
        open_speech(tmp_path / "other.mov")


@pytest.mark.skipif(os.name == "nt", reason="needs special files")
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    "kind", ["fifo", "socket", "folder", "/dev/zero", "/dev/null", "/dev/stdin", "/dev/fd/0", "link"]
)
def test_only_regular_files_are_read(tmp_path, reader, kind, monkeypatch):
    path = tmp_path / "input.wav"
    monkeypatch.chdir(tmp_path)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/stdin")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("input.wav")
    else:
        path = Path(kind)
    began_s = time.monotonic()
    with pytest.raises(MediaError, match=r"not a regular file|is a folder|cannot be opened|does not exist"):
        reader(path)
    assert time.monotonic() - began_s < 2


@pytest.mark.skipif(os.name == "nt", reason="needs /dev/stdin")
def test_standard_input_from_a_file_is_rejected_too(secret):
    source = "import sys\nfrom sadtalker_ext.audio.speech import open_speech\nopen_speech(sys.argv[1])"
    for name in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
        if os.path.exists(name):
            with secret.open("rb") as opened:
                run = subprocess.run(
                    [sys.executable, "-c", source, name], stdin=opened, capture_output=True, text=True, timeout=20,
                    check=False,
                )  # fmt: skip
            assert "not a regular file" in run.stderr


def test_link_to_a_file_is_read(secret, tmp_path):
    (tmp_path / "link.wav").symlink_to(secret)
    (tmp_path / "second.wav").symlink_to("link.wav")
    assert require_file(tmp_path / "second.wav", "sound") == tmp_path / "second.wav"
    assert open_speech(tmp_path / "second.wav").duration_s == 3.0


@pytest.mark.parametrize(
    "head",
    [b"RIFF\x24\x00\x00\x00WAVEfmt ", b"ID3\x04", b"\x89PNG\r\n\x1a\n", b"", b"OggS", b"\x1aE\xdf\xa3", b"v=0",
     b"<svg>", b"hello http://example.com", b"\xff\xd8\xff"],
)  # fmt: skip
def test_other_files_are_not_playlists(head):
    assert not is_playlist(head)


def test_demuxer_is_set_only_where_ffmpeg_would_expand_patterns(tmp_path):
    assert picture_arguments(Path("a.jxl")) == picture_arguments(Path("a%d.wav")) == []
    assert picture_arguments(Path("a%d.JXL")) == ["-f", "jpegxl_pipe"]
    movie = tmp_path / "movie.jpg"
    movie.write_bytes(b"\0\0\0 ftypisom")
    assert picture_arguments(movie) == []


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a%d.jpg", "a.tga", "a%d.tga", "a.png", "a.tif", "a.webp"])
@pytest.mark.skipif(os.name == "nt", reason="these names are not possible there")
def test_pictures_are_read_by_ffmpeg_too(tmp_path, name):
    Image.new("RGB", (100, 80), "lime").save(tmp_path / name)
    for other in ("a0", "a1"):
        Image.new("RGB", (64, 64), "red").save(tmp_path / f"{other}{Path(name).suffix}")
    frame = first_frame(tmp_path / name)
    assert frame.shape == (80, 100, 3)
    assert abs(frame.reshape(-1, 3).mean(axis=0) - (0, 255, 0)).max() < 5


def test_error_about_a_recording_names_it(tmp_path):
    path = tmp_path / "noise.wav"
    path.write_bytes(np.random.default_rng(0).bytes(3000))
    with pytest.raises(MediaError, match=r"noise\.wav cannot be read .*; convert it to WAV"):
        _read_samples(Recording(path).path)


def test_header_contains_the_streams(secret):
    assert "Audio: pcm_s16le" in read_header(secret, "audio file")


def test_errors_show_the_display_name_instead_of_the_path(tmp_path, playlist):
    for path in (tmp_path / "none.wav", playlist("voice.wav")):
        with pytest.raises(MediaError) as caught:
            probe(path, "voice")
        message = caught.value.describe({path: "me.wav"})
        assert message.startswith("The voice me.wav ")
        assert str(tmp_path) not in message
