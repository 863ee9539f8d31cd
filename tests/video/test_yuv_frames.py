"""Conversion to yuv420p: compared with the formulas of BT.709 and with ffmpeg, and parts with whole frames."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from numpy.typing import NDArray
from sample_frames import natural

from sadtalker_ext.arrays import Frame
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.video.yuv_frames import YuvFrames

BY_FFMPEG = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=bilinear+accurate_rnd+full_chroma_int+full_chroma_inp"
    ",format=yuv420p"
)
SIZES = [(64, 48), (65, 48), (64, 47), (33, 21), (2, 2), (1, 1)]


def noise(height: int, width: int) -> Frame:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def converted(frame: Frame) -> NDArray[np.uint8]:
    return np.frombuffer(bytes(YuvFrames(frame.shape).convert(frame)), np.uint8)


def even(frame: Frame) -> Frame:
    return np.pad(frame, [(0, side % 2) for side in frame.shape[:2]] + [(0, 0)], mode="edge")


def halved(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    for _ in range(2):
        wide = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
        plane = ((wide[:-3:2] + 3 * wide[1:-2:2] + 3 * wide[2:-1:2] + wide[3::2]) / 8).T
    return plane


def by_formula(frame: Frame) -> NDArray[np.float64]:
    """ITU-R BT.709-6, items 3.2, 3.3 and 3.5, before rounding."""
    red, green, blue = np.moveaxis(even(frame) / 255.0, 2, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    chroma = (halved((blue - luma) / 1.8556), halved((red - luma) / 1.5748))
    return np.concatenate([16 + 219 * luma.ravel(), *(128 + 224 * plane.ravel() for plane in chroma)])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("picture", [natural, noise])
def test_values_are_those_of_bt709(picture, size):
    frame = picture(*size)
    differences = converted(frame) - by_formula(frame)
    assert np.abs(differences).max() < 1.3  # of which 0.5 is the last rounding
    if len(differences) > 1000:
        assert np.abs(differences).mean() < 0.32  # rounding alone: 0.25
        assert abs(differences.mean()) < 0.07


@pytest.mark.parametrize("picture", [natural, noise])
def test_ffmpeg_converts_to_the_same_values(picture):
    frame = picture(64, 48)
    source = [ffmpeg_program(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "48x64", "-i", "pipe:0"]
    command = [*source, "-vf", BY_FFMPEG, "-f", "rawvideo", "pipe:1"]
    theirs = subprocess.run(command, input=frame.tobytes(), capture_output=True, check=True).stdout
    differences = converted(frame).astype(int) - np.frombuffer(theirs, np.uint8)
    assert np.abs(differences).max() <= 1
    assert np.abs(differences).mean() < 0.15


def test_greys_have_no_colour_and_the_whole_range():
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 2, axis=1).repeat(2, axis=0)[..., None].repeat(3, axis=2)
    planes = converted(greys)
    assert np.abs(planes[:1024].reshape(512, 2)[::2, 0] - (16 + 219 * np.arange(256) / 255)).max() < 0.6
    assert (planes[[0, 1023]] == [16, 235]).all()
    assert (planes[1024:] == 128).all()


@pytest.mark.parametrize("size", SIZES)
def test_changed_parts_are_converted_as_whole_frames_are(size):
    frames, random = YuvFrames((*size, 3)), np.random.default_rng(1)
    frame = natural(*size)
    for _ in range(40):
        top, left = (int(random.integers(0, side)) for side in size)
        part = (slice(top, top + int(random.integers(0, 9))), slice(left, left + int(random.integers(0, 9))))
        frame[part] = random.integers(0, 256, frame[part].shape, dtype=np.uint8)  # the same array, as some sources do
        assert np.array_equal(np.frombuffer(frames.convert(frame), np.uint8), converted(frame))


def test_only_what_changed_is_converted(monkeypatch):
    frames, frame, parts = YuvFrames((64, 48, 3)), natural(64, 48), []
    convert = frames._convert_part
    monkeypatch.setattr(frames, "_convert_part", lambda *part: (parts.append(part), convert(*part)))
    frames.convert(frame)
    frames.convert(frame.copy())
    frames.convert(frame[:, ::-1])
    frame = frame[:, ::-1].copy()
    frame[31, 17, 2] ^= 1
    frames.convert(frame)
    assert parts == [(slice(0, 64), slice(0, 48))] * 2 + [(slice(30, 34), slice(16, 20))]
