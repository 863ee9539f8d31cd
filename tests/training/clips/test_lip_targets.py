"""Lip-only frames: which pixels change, and which part of the sound each frame shows."""

from __future__ import annotations

import numpy as np
import torch
from talking_clips import talking_clip

from sadtalker_ext.training.clips.lip_targets import face_box, mel_windows, render_lip_frames


class Echo(torch.nn.Module):
    """Fake Wav2Lip: returns the given face with a grey lower half whose level is the mean of the mel window."""

    def forward(self, mel, faces):
        assert faces.shape[1:] == (6, 96, 96)
        assert faces[:, :3, 48:].abs().max() == 0
        made = faces[:, 3:].clone()
        made[:, :, 48:] = mel.mean(dim=(1, 2, 3))[:, None, None, None]
        return made


def test_lower_half_of_the_face_follows_the_sound():
    clip = talking_clip("a", size=128)
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    mel = np.repeat(np.linspace(0, 1, 129, dtype=np.float32)[:, None], 80, axis=1)
    frames = list(render_lip_frames(Echo(), picture, clip.landmarks[0], mel, 40))
    assert len(frames) == 40
    box = face_box(clip.landmarks[0], 128)
    outside = np.ones((128, 128), bool)
    outside[box.top : box.bottom, box.left : box.right] = False
    assert all(np.array_equal(frame[outside], picture[outside]) for frame in frames)
    below = slice(box.top + box.height // 2 + 2, box.bottom - 1)
    grey = [float(frame[below, box.left : box.right].mean()) for frame in frames]
    expected = [255 * float(mel_windows(mel, range(index, index + 1)).mean()) for index in range(40)]
    np.testing.assert_allclose(grey, expected, atol=1.0)
    assert grey[0] < grey[20] < grey[35]


def test_centre_of_the_box_is_between_nose_and_upper_lip():
    clip = talking_clip("a", size=128)
    points = clip.landmarks[0]
    box = face_box(points, 128)
    middle = (box.top + box.bottom) / 2
    assert points[30, 1] - 0.1 * box.height < middle < points[51, 1]
    assert box.bottom > points[8, 1]


def test_windows_start_at_their_frame_and_stop_at_the_end():
    mel = np.arange(100, dtype=np.float32)[:, None].repeat(80, axis=1)
    windows = mel_windows(mel, range(0, 31))
    assert windows.shape == (31, 1, 80, 16)
    assert windows[10, 0, 0].tolist() == list(range(32, 48)), "3.2 columns to a frame"
    assert windows[30, 0, 0].tolist() == list(range(84, 100))
    assert mel_windows(mel[:10], range(1))[0, 0, 0].tolist() == [*range(10), 9, 9, 9, 9, 9, 9]
