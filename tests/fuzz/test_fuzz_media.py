"""Headers of sounds, videos and pictures, read by the readers of the pipeline."""

import struct
import wave
from contextlib import closing
from io import BytesIO

import numpy as np
import pytest
from fuzz_cases import property_of
from fuzz_values import damaged
from hypothesis import strategies as st
from PIL import Image

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.constants import MAX_CLIP_S
from sadtalker_ext.video.picture import read_picture
from sadtalker_ext.video.read import probe, read_frames
from sadtalker_ext.video.write import VideoSpec, write_video

PICTURES = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA")
u32 = st.sampled_from([0, 1, 7, 8, 36, 1 << 15, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
u16 = st.sampled_from([0, 1, 2, 3, 8, 16, 24, 32, 64, 255, 0xFFFE, 0xFFFF])


@pytest.fixture(scope="module")
def wav():
    time_s = np.arange(1600) / 16000
    with BytesIO() as file:
        with wave.open(file, "wb") as sound:
            sound.setparams((1, 2, 16000, 0, "NONE", ""))
            sound.writeframes((9000 * np.sin(900 * time_s)).astype("<i2").tobytes())
        return file.getvalue()


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "short.mp4"
    write_video([np.full((64, 64, 3), level, np.uint8) for level in (40, 90, 140)], path, VideoSpec())
    return path.read_bytes()


@pytest.fixture(scope="module")
def pictures():
    """Return the same small picture in several formats."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    made = {}
    for name in PICTURES:
        with BytesIO() as file:
            image.save(file, name)
            made[name] = file.getvalue()
    return made


@st.composite
def wav_headers(draw):
    """Return a WAV file whose chunks have hostile sizes and formats."""
    form = struct.pack("<HHIIHH", draw(u16), draw(u16), draw(u32), draw(u32), draw(u16), draw(u16))
    form += draw(st.binary(max_size=24))
    data = draw(st.binary(max_size=64)) * draw(st.sampled_from([1, 40]))
    chunks = [
        (b"fmt ", form),
        (b"data", data),
        (draw(st.sampled_from([b"LIST", b"fact", b"ds64", b"\0\0\0\0"])), draw(st.binary(max_size=12))),
    ]
    body = b"".join(
        name + struct.pack("<I", draw(st.just(len(content)) | u32)) + content
        for name, content in draw(st.permutations(chunks))
    )
    kind = draw(st.sampled_from([b"RIFF", b"RIFX", b"RF64"]))
    return kind + struct.pack("<I", draw(st.just(len(body) + 4) | u32)) + b"WAVE" + body


def read_sound(path):
    speech = open_speech(path, "voice")
    assert 0 < speech.duration_s <= MAX_CLIP_S
    samples = speech.samples()
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()


@property_of(6, data=st.data(), name=st.sampled_from(["voice.wav", "voice.mp3", "voice"]))
def test_sounds(place, wav, data, name):
    path = place.write(name, data.draw(damaged(wav) | wav_headers()))
    place.read(read_sound, path)
    path.unlink()


def read_video(path):
    info = probe(path)
    assert info.rate_hz > 0
    with closing(read_frames(path)) as frames:
        for _ in zip(range(4), frames, strict=False):
            pass


@property_of(6, data=st.data(), name=st.sampled_from(["video.mp4", "video.mov", "video.wav"]))
def test_videos(place, mp4, data, name):
    path = place.write(name, data.draw(damaged(mp4)))
    place.read(read_video, path)
    place.read(read_sound, path)
    path.unlink()


def read_any_picture(path):
    picture = read_picture(path, 256, "portrait")
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 3
    assert max(picture.pixels.shape) <= 256


@property_of(6, data=st.data(), kind=st.sampled_from(PICTURES), name=st.sampled_from(["a.png", "a.jpg", "a"]))
def test_pictures(place, pictures, data, kind, name):
    path = place.write(name, data.draw(damaged(pictures[kind])))
    place.read(read_any_picture, path)
    path.unlink()


@property_of(
    2, content=st.binary(max_size=200), name=st.sampled_from(["a.png", "a.mp4", "a.wav", "a.svg", "a.m3u8", "a"])
)
def test_other_files(place, content, name):
    path = place.write(name, content)
    for reader in (read_any_picture, read_video, read_sound):
        place.read(reader, path)
    path.unlink()
