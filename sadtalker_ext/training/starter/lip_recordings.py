"""Speech with measured lips: the training data of LipMotion.

A folder has a file ``lips.json`` and a sound file for each of its entries, ``NAME.flac`` or ``NAME.wav``. An entry has
the keys ``speaker``, ``fps``, and one value per frame (null: no face) in ``openness``, the gap between the inner
lips, and ``width``, the distance of the mouth corners, both divided by the distance of the outer eye corners.
``repository``, ``licence`` and ``file`` say where it comes from; ``sound_delay_s`` is how much later the sound starts
than the picture. :func:`~sadtalker_ext.training.starter.lip_tracking.measure_videos` makes such a folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.training.starter.lip_regression import shifted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sadtalker_ext.arrays import Float64Array

LIPS_FILE: Final = "lips.json"
SOUND_ENDINGS: Final = (".flac", ".wav", ".mp3", ".m4a", ".ogg")
MIN_FRAMES: Final = 50
"""Shorter recordings do not give a reliable mean and range of the lips."""


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


def _recording(folder: Path, name: str, entry: Mapping[str, Any]) -> LipRecording:
    path = folder / LIPS_FILE
    try:
        rate_hz = float(entry["fps"])
        columns = [np.asarray(entry[key], np.float64) for key in ("openness", "width")]
        measured = np.stack(columns, axis=1)
        speaker, delay_s = str(entry["speaker"]), float(entry.get("sound_delay_s", 0.0))
    except (KeyError, TypeError, ValueError) as error:
        raise MediaError(
            f"The entry {name!r} of the ", FileRef("lips file", path), f" is not usable ({error!r}); it needs speaker, "
            "fps, openness and width",
        ) from error  # fmt: skip
    lips = _at_frame_rate(measured, rate_hz)
    lips = shifted(lips, delay_s) if delay_s else lips
    frames = int(np.isfinite(lips).all(axis=1).sum())
    if frames < MIN_FRAMES:
        raise MediaError(f"The recording {name!r} has {frames} frames with a face; use those with {MIN_FRAMES} or more")
    source = str(entry.get("repository") or Path(str(entry.get("file", ""))).name or "own recording")
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
