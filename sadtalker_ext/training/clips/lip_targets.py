"""Lip-only targets for real videos: Wav2Lip animates the lips of the first frame of a clip with the sound of the clip.

Only the lips move in these frames, so the 3DMM coefficients measured in them are the training targets of ExpNet
(SadTalker, Zhang et al. 2023, section 3.2). The user provides the weights of Wav2Lip, see
:mod:`sadtalker_ext.weights.external_networks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from sadtalker_ext.audio.windows import WINDOW_COLUMNS
from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.geometry.crop import Box
from sadtalker_ext.models.wav2lip import FACE_PX, mask_lower_half

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sadtalker_ext.arrays import Float32Array, Frame, Image
    from sadtalker_ext.models.wav2lip import Wav2Lip

JAW: Final = slice(0, 17)
BROWS: Final = slice(17, 27)
CHIN: Final = 8
ABOVE_BROWS: Final = 0.25
BELOW_CHIN: Final = 0.08
"""Margins of the face box above the brows and below the chin, in brow-to-chin heights, like the detector of Wav2Lip."""
MEL_RATE_HZ: Final = 80
MEL_COLUMNS_PER_FRAME: Final = MEL_RATE_HZ / FRAME_RATE_HZ
BATCH_FRAMES: Final = 32


def render_lip_frames(
    network: Wav2Lip, image: Image, landmarks: Float32Array, mel: Float32Array, frames: int
) -> Iterator[Frame]:
    """Yield ``frames`` images (S, S, 3) uint8 RGB: ``image`` with lips animated by ``mel``.

    landmarks: (68, 2) in pixels of the image. mel: (M, 80) at 80 Hz, row 0 at the first frame.
    """
    import cv2

    box = face_box(landmarks, len(image))
    inside = (slice(box.top, box.bottom), slice(box.left, box.right))
    face = cv2.resize(image[inside], (FACE_PX, FACE_PX), interpolation=cv2.INTER_AREA)
    bgr = np.ascontiguousarray(face[:, :, ::-1].transpose(2, 0, 1), np.float32) / np.float32(255)
    masked = mask_lower_half(torch.from_numpy(bgr)[None])
    for start in range(0, frames, BATCH_FRAMES):
        windows = torch.from_numpy(mel_windows(mel, range(start, min(start + BATCH_FRAMES, frames))))
        with torch.inference_mode():
            rendered = network(windows, masked.expand(len(windows), -1, -1, -1))
        for face_rgb in (rendered * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()[..., ::-1]:
            frame = image.copy()
            frame[inside] = cv2.resize(np.ascontiguousarray(face_rgb), (box.width, box.height))
            yield frame


def face_box(landmarks: Float32Array, size_px: int) -> Box:
    """Return the face box that Wav2Lip expects for landmarks (68, 2), clipped to a square image of ``size_px``."""
    left, right = landmarks[JAW, 0].min(), landmarks[JAW, 0].max()
    brows, chin = landmarks[BROWS, 1].min(), landmarks[CHIN, 1]
    height = chin - brows
    edges = np.array([left, brows - ABOVE_BROWS * height, right, chin + BELOW_CHIN * height])
    x0, y0, x1, y1 = (int(edge) for edge in np.clip(edges.round(), 0, size_px))
    return Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def mel_windows(mel: Float32Array, frames: range) -> Float32Array:
    """Return mel windows (N, 1, 80, 16) of ``frames``, cut as in Wav2Lip's own inference; none exceeds the end."""
    last = max(len(mel) - WINDOW_COLUMNS, 0)
    starts = np.minimum((np.array(frames) * MEL_COLUMNS_PER_FRAME).astype(np.int64), last)
    columns = np.minimum(starts[:, None] + np.arange(WINDOW_COLUMNS), len(mel) - 1)
    return np.ascontiguousarray(mel[columns].transpose(0, 2, 1)[:, None])
