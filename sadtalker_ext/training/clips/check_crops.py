"""Whether the pictures of a clip show the face where its landmarks are, in natural colours, moving as its targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.metrics.sync import mouth_opening
from sadtalker_ext.training.clips.check_duplicates import common_r
from sadtalker_ext.training.clips.check_motion import DEAD_OPENING, eye_distance, lip_curves_of
from sadtalker_ext.training.clips.check_report import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sadtalker_ext.arrays import Float32Array, UInt8Array
    from sadtalker_ext.training.clips.dataset import Clip

MAX_OUTSIDE_SHARE: Final = 0.2
"""Share of the landmarks outside the picture; the chin of a lowered head may leave it."""
MAX_OFFSET: Final = 0.15
"""Mean distance of the landmarks from those of the face that is found in the picture, in distances of the outer eye
corners; 0.06 or less."""
MIN_BLUE: Final = 8.0
MAX_BLUE_SHARE: Final = 0.6
MIN_COLOUR_CLIPS: Final = 5
"""Excess of blue over red in the face, in grey levels, the share of the clips that may have it (paintings, blue light),
and the number of clips from which it is judged."""
MOUTH_COLUMNS: Final = 8
MAX_TARGET_LAG: Final = 2
TARGET_REACH: Final = 12
TARGET_R, TARGET_GAIN = 0.8, 0.25
"""Lags in frames of ``lip_expression`` against the landmarks, the correlation from which one is reported, and its
excess over lags up to :data:`MAX_TARGET_LAG`."""


def check_crop(clip: Clip, frames: UInt8Array) -> Iterator[Finding]:
    """Yield the finding for landmarks that are outside the picture or not on its face. frames: (T, S, S, 3)."""
    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.geometry.landmarks import subset_68

    size_px = frames.shape[1]
    outside = float(((clip.landmarks < 0) | (clip.landmarks > size_px)).any(axis=2).mean())
    if outside > MAX_OUTSIDE_SHARE:
        yield _wrong_crop(clip.name, f"{100 * outside:.0f} % of the landmarks are outside the picture")
        return
    chosen = (len(clip) // 2, 0, len(clip) - 1)
    faces = track_faces(frames[number] for number in chosen)
    found = next(((number, face) for number, face in zip(chosen, faces, strict=True) if face is not None), None)
    if found is None:
        yield _wrong_crop(clip.name, "no face is found")
        return
    number, face = found
    apart_px = float(np.linalg.norm(subset_68(face.mesh) - clip.landmarks[number], axis=1).mean())
    apart = apart_px / float(eye_distance(clip)[number])
    if apart > MAX_OFFSET:
        yield _wrong_crop(clip.name, f"the face is {apart:.2f} eye distances away from its landmarks")


def blue_excess(clip: Clip, frames: UInt8Array) -> float:
    """Return the mean of blue minus red inside the landmarks of the middle frame, in grey levels."""
    middle = len(clip) // 2
    low, high = (np.clip(part, 0, frames.shape[1]).astype(int) for part in _bounds(clip.landmarks[middle]))
    face = frames[middle, low[1] : high[1] + 1, low[0] : high[0] + 1].astype(np.float64)
    return float((face[..., 2] - face[..., 0]).mean()) if face.size else 0.0


def check_colours(excess: Sequence[float]) -> list[Finding]:
    """Return the finding for a set whose faces are blue. excess: of :func:`blue_excess`, one per clip."""
    share = float(np.mean(np.array(excess) > MIN_BLUE)) if len(excess) >= MIN_COLOUR_CLIPS else 0.0
    if share <= MAX_BLUE_SHARE:
        return []
    return [Finding(
        "framing", "the faces are blue: red and blue are exchanged",
        "write the pictures as RGB (OpenCV reads and writes BGR) and create the data set again",
        {"all clips": f"{100 * share:.0f} % of the clips"},
    )]  # fmt: skip


def check_targets(clip: Clip) -> Iterator[Finding]:
    """Yield the finding for a ``lip_expression`` of mouth shapes that is moved in time against the landmarks."""
    measured, target = lip_curves_of(clip)[:, 0], mouth_opening(clip.lip_expression[:, :MOUTH_COLUMNS])
    if measured.std() < DEAD_OPENING or target.std() < DEAD_OPENING or len(clip) < 4 * TARGET_REACH:
        return
    lags = range(-TARGET_REACH, TARGET_REACH + 1)
    values = [common_r(target[max(0, lag) :][: len(clip) - abs(lag)], measured[max(0, -lag) :]) for lag in lags]
    best = int(np.argmax(values)) - TARGET_REACH
    near = max(values[TARGET_REACH - MAX_TARGET_LAG : TARGET_REACH + MAX_TARGET_LAG + 1])
    highest = max(values)
    if abs(best) > MAX_TARGET_LAG and highest > TARGET_R and highest - near > TARGET_GAIN:
        yield Finding(
            "features", "lip_expression is moved in time against the pictures",
            "create the data set again; pictures, landmarks and coefficients of a clip must have the same frames",
            {clip.name: f"{abs(best)} frames {'late' if best > 0 else 'early'}, r {highest:.2f}, in place {near:.2f}"},
        )  # fmt: skip


def _bounds(points: Float32Array) -> tuple[Float32Array, Float32Array]:
    return points.min(axis=0), points.max(axis=0)


def _wrong_crop(place: str, measured: str) -> Finding:
    return Finding(
        "framing", "the pictures do not show the face where the landmarks are",
        "create the data set again from the original videos; crop pictures and landmarks with the same box, and flip "
        "neither of both alone",
        {place: measured},
    )  # fmt: skip
