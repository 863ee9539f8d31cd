"""Lip-only targets from real videos: the first frame of a clip, made to say the clip's sound by Wav2Lip.

On these frames nothing moves but the lips, so 3DMM coefficients read from them are what ExpNet is to predict
(SadTalker, Zhang et al. 2023, section 3.2). The user supplies Wav2Lip's weights, see
:mod:`sadtalker_ext.weights.external_networks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from sadtalker_ext.audio.windows import WINDOW_COLUMNS
from sadtalker_ext.geometry.crop import Box
from sadtalker_ext.models.wav2lip import FACE_PX, hide_lower_half

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sadtalker_ext.models.wav2lip import Wav2Lip

    Floats = NDArray[np.float32]
    Picture = NDArray[np.uint8]

JAW: Final = slice(0, 17)
BROWS: Final = slice(17, 27)
CHIN: Final = 8
ABOVE_BROWS: Final = 0.25
BELOW_CHIN: Final = 0.08
"""How far the box of a face reaches beyond brows and chin, in heights from brows to chin: as its detector draws it."""
COLUMNS_PER_FRAME: Final = 80 / 25
BATCH: Final = 32


def spoken_frames(network: Wav2Lip, picture: Picture, landmarks: Floats, mel: Floats, frames: int) -> Iterator[Picture]:
    """``frames`` pictures (S, S, 3) uint8 RGB: ``picture`` with lips that say ``mel``.

    landmarks: (68, 2) in pixels of the picture. mel: (M, 80) at 80 Hz, column 0 at the first frame.
    """
    import cv2

    box = face_box(landmarks, len(picture))
    inside = (slice(box.top, box.bottom), slice(box.left, box.right))
    face = cv2.resize(picture[inside], (FACE_PX, FACE_PX), interpolation=cv2.INTER_AREA)
    bgr = np.ascontiguousarray(face[:, :, ::-1].transpose(2, 0, 1), np.float32) / np.float32(255)
    given = hide_lower_half(torch.from_numpy(bgr)[None])
    for start in range(0, frames, BATCH):
        windows = torch.from_numpy(reading_windows(mel, range(start, min(start + BATCH, frames))))
        with torch.inference_mode():
            made = network(windows, given.expand(len(windows), -1, -1, -1))
        for spoken in (made * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()[..., ::-1]:
            shown = picture.copy()
            shown[inside] = cv2.resize(np.ascontiguousarray(spoken), (box.width, box.height))
            yield shown


def face_box(landmarks: Floats, size_px: int) -> Box:
    """The box around a face (68, 2) that Wav2Lip was trained on, within a square picture; its middle is at the nose."""
    left, right = landmarks[JAW, 0].min(), landmarks[JAW, 0].max()
    brows, chin = landmarks[BROWS, 1].min(), landmarks[CHIN, 1]
    height = chin - brows
    edges = np.array([left, brows - ABOVE_BROWS * height, right, chin + BELOW_CHIN * height])
    x0, y0, x1, y1 = (int(edge) for edge in np.clip(edges.round(), 0, size_px))
    return Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def reading_windows(mel: Floats, frames: range) -> Floats:
    """Windows (N, 1, 80, 16) of ``frames`` as Wav2Lip's own program cuts them, none beyond the end."""
    last = max(len(mel) - WINDOW_COLUMNS, 0)
    starts = np.minimum((np.array(frames) * COLUMNS_PER_FRAME).astype(np.int64), last)
    columns = np.minimum(starts[:, None] + np.arange(WINDOW_COLUMNS), len(mel) - 1)
    return np.ascontiguousarray(mel[columns].transpose(0, 2, 1)[:, None])
