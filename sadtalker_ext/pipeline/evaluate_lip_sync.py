"""Lip sync of a finished video as SyncNet judges it: LSE-D and LSE-C (joonson/syncnet_python).

Two passes over the video at 25 frames per second, so that memory does not grow with pictures: the first tracks the
face, the second cuts it out and computes features. The authors' pipeline stores the crops as XVID and JPEG in between;
here they are not compressed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.audio.mfcc import MFCC_RATE_HZ, mfcc
from sadtalker_ext.constants import FRAME_RATE_HZ, SAMPLES_PER_FRAME
from sadtalker_ext.errors import FaceError, FileRef, MediaError
from sadtalker_ext.metrics.lip_sync_error import MAX_SHIFT_FRAMES, CropBox, crop_boxes, lip_sync_error
from sadtalker_ext.metrics.report import Metric
from sadtalker_ext.models.syncnet import FACE_PX, WINDOW_COLUMNS, WINDOW_FRAMES

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from sadtalker_ext.arrays import Float32Array, Float64Array, Frame, Image
    from sadtalker_ext.models.s3fd import S3FD
    from sadtalker_ext.models.syncnet import SyncNet

BATCH: Final = 20
"""Windows that the network reads at once, as in the authors' code; each takes 14 MB."""
BORDER: Final = 110
"""Grey value of crops beyond the picture."""
COLUMNS_PER_FRAME: Final = round(MFCC_RATE_HZ / FRAME_RATE_HZ)
MIN_FRAMES: Final = WINDOW_FRAMES + 2 * MAX_SHIFT_FRAMES + 1
"""Shorter videos are compared mostly with the silence that is assumed before and after them."""
MIN_DETECTED_SHARE: Final = 0.5
"""A face must be found in this share of the frames."""
PCM_SCALE: Final = 32768.0
PCM_RANGE: Final = (-32768, 32767)


def lip_sync_metrics(
    path: Path, network: SyncNet, device: torch.device | str = "cpu", detector: S3FD | None = None
) -> list[Metric]:
    """Return LSE-D, LSE-C and the offset of a video. detector: cuts the faces; None uses the outline of the landmarks.

    MediaError if it has no sound or is shorter than 1.44 s, FaceError if the face is seen in less than half of it.
    """
    samples = read_pcm(path)
    boxes = track_boxes(path, detector, device)
    count = min(len(boxes), len(samples) // SAMPLES_PER_FRAME)
    if count < MIN_FRAMES:
        raise MediaError(
            "The ", FileRef("video", path), f" lasts {count / FRAME_RATE_HZ:.2f} s with picture and sound; LSE needs "
            f"{MIN_FRAMES / FRAME_RATE_HZ:.2f} s or more",
        )  # fmt: skip
    # The authors' code leaves out the last complete window.
    windows = count - WINDOW_FRAMES
    faces = face_features(network, face_crops(path, crop_boxes(boxes)), windows, device)
    sounds = sound_features(network, mfcc(samples), windows, device)
    found = lip_sync_error(faces, sounds)
    late_ms = -1000.0 * found.offset / FRAME_RATE_HZ
    faces_by = "faces cut by landmarks" if detector is None else "faces cut by S3FD"
    return [
        Metric("lse_c", found.confidence, "", "higher", f"confidence of SyncNet that lips and sound agree, {faces_by}"),
        Metric("lse_d", found.distance, "", "lower", f"distance of SyncNet's features of lips and sound, {faces_by}"),
        Metric("lse_lag", late_ms, "ms", "", "lag of the sound behind the lips at that distance", "median"),
    ]


def read_pcm(path: Path) -> Float64Array:
    """Return the sound (N,) of a video at 16 kHz in the range of 16-bit integers, from the first picture on.

    MediaError if there is none.
    """
    from sadtalker_ext.audio.speech import open_speech
    from sadtalker_ext.video.stream_start import align_sound, sound_delay_s

    scaled = np.round(open_speech(path, "video").samples().astype(np.float64) * PCM_SCALE)
    samples: Float64Array = align_sound(np.clip(scaled, *PCM_RANGE), sound_delay_s(path))
    return samples


def track_boxes(path: Path, detector: S3FD | None = None, device: torch.device | str = "cpu") -> Float64Array:
    """Return the face box (T, 4) of each frame at 25 Hz: left, top, right, bottom; gaps are interpolated."""
    from sadtalker_ext.pipeline.evaluate_face_boxes import follow_boxes
    from sadtalker_ext.video.read import read_frames

    rows, at, total = [], [], 0
    frames = read_frames(path, FRAME_RATE_HZ)
    for box in _outlines(frames) if detector is None else follow_boxes(frames, detector, device):
        if box is not None:
            rows.append(box)
            at.append(total)
        total += 1
    if len(rows) < MIN_DETECTED_SHARE * total or not rows:
        raise FaceError(
            f"A face was found in only {len(rows)} of {total} frames of the ", FileRef("video", path),
            "; choose a video that shows the face most of the time",
        )  # fmt: skip
    columns = [np.interp(np.arange(total), at, column) for column in np.array(rows, np.float64).T]
    return np.stack(columns, axis=1)


def _outlines(frames: Iterable[Frame]) -> Iterator[Float64Array | None]:
    """Yield the box of the face oval in each frame."""
    from sadtalker_ext.faces.find import track_faces

    for face in track_faces(frames):
        box = None if face is None else face.box
        yield None if box is None else np.array([box.x, box.y, box.x + box.width, box.y + box.height])


def face_crops(path: Path, boxes: list[CropBox]) -> Iterator[Image]:
    """Yield the face crop (224, 224, 3) of each frame at 25 Hz."""
    from sadtalker_ext.video.read import read_frames

    for frame, box in zip(read_frames(path, FRAME_RATE_HZ), boxes, strict=False):
        yield cut_face(frame, box)


def cut_face(frame: Frame, box: CropBox) -> Image:
    """Return the crop (224, 224, 3) of a frame (H, W, 3); grey beyond the picture."""
    import cv2

    cut = np.full((max(1, box.height), max(1, box.width), 3), BORDER, np.uint8)
    top, left = max(0, box.top), max(0, box.left)
    inside = frame[top : max(top, box.top + box.height), left : max(left, box.left + box.width)]
    cut[top - box.top :, left - box.left :][: inside.shape[0], : inside.shape[1]] = inside
    return np.asarray(cv2.resize(cut, (FACE_PX, FACE_PX)), np.uint8)


def face_features(
    network: SyncNet, crops: Iterator[Image], windows: int, device: torch.device | str = "cpu"
) -> Float32Array:
    """Return the features (windows, D) of five consecutive crops each; crops are RGB."""
    import torch

    rows: list[Float32Array] = []
    held: list[Image] = []
    done = 0
    with torch.inference_mode():
        for crop in crops:
            held.append(crop[:, :, ::-1])
            ready = min(len(held) - WINDOW_FRAMES + 1, windows - done)
            if ready == min(BATCH, windows - done) and ready > 0:
                film = torch.from_numpy(np.stack(held[: ready + WINDOW_FRAMES - 1])).permute(3, 0, 1, 2).to(device)
                batch = film.float().unfold(1, WINDOW_FRAMES, 1).permute(1, 0, 4, 2, 3)
                rows.append(network.face_features(batch).float().cpu().numpy())
                done += ready
                del held[:ready]
            if done == windows:
                break
    return np.concatenate(rows)


def sound_features(
    network: SyncNet, coefficients: Float64Array, windows: int, device: torch.device | str = "cpu"
) -> Float32Array:
    """Return the features (windows, D) of MFCC coefficients (M, 13), 20 rows for each window."""
    import torch

    rows = []
    values = torch.from_numpy(coefficients.astype(np.float32)).T.to(device)
    with torch.inference_mode():
        for first in range(0, windows, BATCH):
            starts = [COLUMNS_PER_FRAME * window for window in range(first, min(windows, first + BATCH))]
            batch = torch.stack([values[None, :, start : start + WINDOW_COLUMNS] for start in starts])
            rows.append(network.sound_features(batch).float().cpu().numpy())
    return np.concatenate(rows)
