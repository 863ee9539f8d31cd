"""Speech with measured lips: the training data of LipMotion.

A folder has a file ``lips.json`` and a sound file for each of its entries, ``NAME.flac`` or ``NAME.wav``. An entry has
the keys ``speaker``, ``fps``, and one value per frame (null: no face) in ``openness``, the gap between the inner
lips, and ``width``, the distance of the mouth corners, both divided by the distance of the outer eye corners.
``repository``, ``licence`` and ``file`` say where it comes from. :func:`measure_videos` makes such a folder.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import FaceError, FileRef, MediaError
from sadtalker_ext.training.clips.prepare_sources import find_videos
from sadtalker_ext.training.core.json_files import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sadtalker_ext.arrays import Float64Array

LIPS_FILE: Final = "lips.json"
SOUND_ENDINGS: Final = (".flac", ".wav", ".mp3", ".m4a", ".ogg")
MIN_FRAMES: Final = 50
"""Shorter recordings do not give a reliable mean and range of the lips."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LipRecording:
    """A recording of one speaker.

    source, licence: where it comes from. sound: the file with the speech, which may be a video.
    lips: (T, 2) opening and width at 25 Hz, in distances of the outer eye corners; nan where no face was found.
    """

    name: str
    speaker: str
    source: str
    licence: str
    sound: Path
    lips: Float64Array


def read_recordings(folder: Path) -> list[LipRecording]:
    """Return the recordings of a folder; MediaError if there are none, or one cannot be used."""
    path = folder / LIPS_FILE
    ref = FileRef("lips file", path)
    try:
        content = json.loads(path.read_text("utf-8"))
        entries = sorted(content.items())
    except (OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError("The ", ref, f" cannot be read ({reason}); use a folder with measured lips") from error
    recordings = [_recording(folder, name, entry) for name, entry in entries]
    if not recordings:
        raise MediaError("The ", ref, " has no recordings; use a folder with measured lips")
    return recordings


def measure_videos(sources: Sequence[Path], folder: Path) -> list[LipRecording]:
    """Track the lips in all videos of ``sources`` and write ``lips.json`` to ``folder``; return the recordings.

    The speaker is the identity of :func:`~sadtalker_ext.training.clips.prepare_sources.identity_of`. A video without a
    visible face or without sound is left out with a message. MediaError if no video remains.
    """
    from sadtalker_ext.audio.speech import open_speech

    entries: dict[str, dict[str, object]] = {}
    for video in find_videos(sources):
        try:
            open_speech(video.path, "video")
            rate_hz, lips = track_lips(video.path)
        except (MediaError, FaceError) as error:
            _LOG.warning("%s is left out: %s", video.path.name, error)
            continue
        entries[f"{video.number:04d}_{video.path.stem}"] = {
            "speaker": video.identity, "file": str(video.path), "fps": rate_hz,
            "openness": _rounded(lips[:, 0]), "width": _rounded(lips[:, 1]),
        }  # fmt: skip
        _LOG.info("%s: %d frames", video.path.name, len(lips))
    if not entries:
        raise MediaError("No video shows a face and has sound; choose other videos")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / LIPS_FILE, entries)
    return read_recordings(folder)


def track_lips(path: Path) -> tuple[float, Float64Array]:
    """Return the frame rate of a video and the lips (T, 2) of its largest face, nan where no face is found.

    FaceError if that is in more than half of the frames.
    """
    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.geometry.measures import mouth_opening, mouth_width
    from sadtalker_ext.video.read import probe, read_frames

    lips = [
        (np.nan, np.nan) if face is None else (mouth_opening(face), mouth_width(face))
        for face in track_faces(read_frames(path))
    ]
    missing = sum(np.isnan(row[0]) for row in lips)
    if 2 * missing > len(lips):
        raise FaceError(f"A face was found in only {len(lips) - missing} of {len(lips)} frames")
    return probe(path).rate_hz, np.array(lips, np.float64).reshape(-1, 2)


def _rounded(values: Float64Array) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 5) for value in values]


def _recording(folder: Path, name: str, entry: Mapping[str, Any]) -> LipRecording:
    path = folder / LIPS_FILE
    try:
        rate_hz = float(entry["fps"])
        columns = [np.asarray(entry[key], np.float64) for key in ("openness", "width")]
        measured = np.stack(columns, axis=1)
        speaker = str(entry["speaker"])
    except (KeyError, TypeError, ValueError) as error:
        raise MediaError(
            f"The entry {name!r} of the ", FileRef("lips file", path), f" is not usable ({error!r}); it needs speaker, "
            "fps, openness and width",
        ) from error  # fmt: skip
    lips = _at_frame_rate(measured, rate_hz)
    if len(lips) < MIN_FRAMES:
        raise MediaError(f"The recording {name!r} has {len(lips)} frames; use recordings of {MIN_FRAMES} or more")
    source = str(entry.get("repository") or entry.get("file") or "own recording")
    return LipRecording(name, speaker, source, str(entry.get("licence") or ""), _sound(folder, name, entry), lips)


def _sound(folder: Path, name: str, entry: Mapping[str, Any]) -> Path:
    """Return the sound file of an entry: the one of its name in the folder, or else the measured video."""
    candidates = [folder / f"{name}{ending}" for ending in SOUND_ENDINGS]
    if "file" in entry:
        candidates.append(Path(str(entry["file"])))
    for path in candidates:
        if path.is_file():
            return path
    raise MediaError(f"The recording {name!r} has no sound file; add {candidates[0]}")


def _at_frame_rate(values: Float64Array, rate_hz: float) -> Float64Array:
    """Return the rows (T, D) at 25 Hz; nan where a neighbour is nan."""
    if rate_hz == FRAME_RATE_HZ:
        return values
    times_s = np.arange(int(len(values) / rate_hz * FRAME_RATE_HZ)) / FRAME_RATE_HZ
    columns = [np.interp(times_s, np.arange(len(values)) / rate_hz, column) for column in values.T]
    return np.stack(columns, axis=1)
