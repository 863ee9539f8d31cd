"""Face boxes of S3FD along a video, as the authors of LSE find them (joonson/syncnet_python, run_pipeline.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

    from sadtalker_ext.arrays import Float64Array, Frame
    from sadtalker_ext.models.s3fd import S3FD

SCALE: Final = 0.25
"""Faces are searched for in pictures of a quarter of the size."""
MIN_SCORE: Final = 0.9
CANDIDATE_SCORE: Final = 0.05
CANDIDATE_OVERLAP, FINAL_OVERLAP = 0.3, 0.1
"""Overlap above which the box with the lower score is dropped: of all candidates, and of those that are left."""
SAME_FACE: Final = 0.5
"""Overlap with the box of the previous frame, from which a box shows the same face."""


def follow_boxes(
    frames: Iterable[Frame], network: S3FD, device: torch.device | str = "cpu"
) -> Iterator[Float64Array | None]:
    """Yield the box (4,) of one face in each frame, left, top, right, bottom; None where it is not found.

    The face is the largest in the first frame with any; if it is lost, the largest of a later frame.
    """
    last: Float64Array | None = None
    for frame in frames:
        boxes = detect_faces(frame, network, device)[:, :4]
        if len(boxes) == 0:
            yield None
            continue
        shared = np.zeros(len(boxes)) if last is None else overlaps(last, boxes)
        sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        last = boxes[int(shared.argmax() if shared.max() > SAME_FACE else sizes.argmax())]
        yield last


def detect_faces(
    frame: Frame, network: S3FD, device: torch.device | str = "cpu", scale: float = SCALE, score: float = MIN_SCORE
) -> Float64Array:
    """Return the faces (N, 5) of a frame (H, W, 3): left, top, right, bottom in pixels and score, best first."""
    import cv2
    import torch

    small = cv2.resize(frame, (0, 0), fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    picture = torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1), np.float32))[None].to(device)
    with torch.inference_mode():
        boxes, scores = (values.double().cpu().numpy() for values in network(picture))
    found = np.column_stack([boxes, scores])[scores > CANDIDATE_SCORE]
    found = suppress(found, CANDIDATE_OVERLAP)
    enlarged = found[found[:, 4] > score] * [*[frame.shape[1] / small.shape[1], frame.shape[0] / small.shape[0]] * 2, 1]
    return suppress(enlarged, FINAL_OVERLAP)


def suppress(found: Float64Array, overlap: float) -> Float64Array:
    """Return the boxes (N, 5), best first, without those that share more than ``overlap`` with a better one."""
    left = found[np.argsort(-found[:, 4], kind="stable")]
    kept = []
    while len(left):
        kept.append(left[0])
        left = left[1:][overlaps(left[0], left[1:]) <= overlap]
    return np.stack(kept) if kept else np.zeros((0, 5))


def overlaps(box: Float64Array, boxes: Float64Array) -> Float64Array:
    """Return the intersection over union (N,) of a box (4 or more) with boxes (N, 4 or more)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    common = np.maximum(high - low, 0.0).prod(axis=1)
    areas = (boxes[:, 2:4] - boxes[:, :2]).prod(axis=1) + (box[2:4] - box[:2]).prod() - common
    shared: Float64Array = common / np.maximum(areas, 1e-12)
    return shared
