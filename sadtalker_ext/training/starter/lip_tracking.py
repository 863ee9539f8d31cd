"""Lips measured in videos: makes the ``lips.json`` of :mod:`~sadtalker_ext.training.starter.lip_recordings`.

Tracking takes most of the time of the recipe. The file is written after each video, and videos that it has already are
not tracked again unless they have changed.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ, LIP_VIDEO_S
from sadtalker_ext.errors import FaceError, MediaError, SettingsError
from sadtalker_ext.system.path_problems import make_folder, require_folder
from sadtalker_ext.training.clips.check_motion import DEAD_OPENING, MIN_ACTIVE_SHARE, active_share
from sadtalker_ext.training.clips.prepare_sources import find_videos, has_videos, is_video
from sadtalker_ext.training.core.json_files import write_json
from sadtalker_ext.training.starter.lip_motion import require_speakers
from sadtalker_ext.training.starter.lip_recordings import LIPS_FILE, MIN_FRAMES, read_recordings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sadtalker_ext.arrays import Float64Array
    from sadtalker_ext.training.clips.prepare_sources import Video
    from sadtalker_ext.training.starter.lip_recordings import LipRecording

UNCHANGED: Final = ("file", "bytes", "modified_ns", "seconds")
"""Keys of an entry that must be the same for a video that is not tracked again."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LipTrack:
    """The largest face of a video. rate_hz: frame rate. lips: (T, 2) opening and width, nan where there is no face."""

    rate_hz: float
    lips: Float64Array


def collect_recordings(folders: Sequence[Path], out: Path, seconds: float = LIP_VIDEO_S) -> list[LipRecording]:
    """Return the recordings of folders with a ``lips.json``, and of all other folders by :func:`measure_videos`.

    SettingsError if there are too few speakers, before anything is tracked.
    """
    for folder in folders:
        if not (folder.is_file() and is_video(folder)):
            require_folder(folder, "use videos, or folders of videos")
    measured = [folder for folder in folders if (folder / LIPS_FILE).is_file() and not _is_same(folder, out)]
    sources = [folder for folder in folders if folder not in measured]
    recordings = [recording for folder in measured for recording in read_recordings(folder)]
    identities = {video.identity for video in find_videos(sources)} if sources else set()
    require_speakers(identities | {recording.speaker for recording in recordings})
    return [*recordings, *(measure_videos(sources, out, seconds) if sources else [])]


def measure_videos(sources: Sequence[Path], folder: Path, seconds: float = LIP_VIDEO_S) -> list[LipRecording]:
    """Track the lips in all videos of ``sources`` and write ``lips.json`` to ``folder``; return the recordings.

    The speaker is the identity of :func:`~sadtalker_ext.training.clips.prepare_sources.identity_of`. A video without a
    visible face, without a voice, with still lips, or that cannot be read, is left out with a message. MediaError if no
    video remains.
    """
    videos = find_videos(sources)
    entries = _known_entries(folder, videos, seconds)
    make_folder(folder)
    for video in videos:
        place = f"{video.number + 1} of {len(videos)}: {video.path.name}"
        if _name(video) in entries:
            _LOG.info("%s: already tracked", place)
            continue
        try:
            entry = {"speaker": video.identity, **_stamp(video.path, seconds), **_measure(video, seconds)}
        except (MediaError, FaceError) as error:
            _LOG.warning("%s is left out: %s", place, error)
            continue
        entries[_name(video)] = entry
        write_json(folder / LIPS_FILE, entries)
        _LOG.info("%s: %d frames, speaker %s", place, len(entry["openness"]), video.identity)
    if not entries:
        raise MediaError("No video shows a talking face and has sound; choose other videos")
    write_json(folder / LIPS_FILE, entries)
    return read_recordings(folder)


def track_lips(path: Path, seconds: float = LIP_VIDEO_S) -> LipTrack:
    """Return the lips in the first seconds of a video; FaceError if more than half of the frames have no face."""
    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.geometry.measures import mouth_opening, mouth_width
    from sadtalker_ext.video.read import probe, read_frames

    rate_hz = probe(path).rate_hz
    lips = [
        (np.nan, np.nan) if face is None else (mouth_opening(face), mouth_width(face))
        for face in track_faces(islice(read_frames(path), round(seconds * rate_hz)))
    ]
    missing = sum(np.isnan(row[0]) for row in lips)
    if 2 * missing > len(lips):
        raise FaceError(f"A face was found in only {len(lips) - missing} of {len(lips)} frames")
    return LipTrack(rate_hz, np.array(lips, np.float64).reshape(-1, 2))


def _measure(video: Video, seconds: float) -> dict[str, Any]:
    """Return the measured part of the entry of a video; MediaError or FaceError if it is of no use."""
    from sadtalker_ext.audio.speech import open_speech
    from sadtalker_ext.video.stream_start import sound_delay_s

    speech = open_speech(video.path, "video")
    delay_s = sound_delay_s(video.path)
    active = active_share(next(speech.blocks(seconds)))
    if active < MIN_ACTIVE_SHARE:
        raise MediaError(f"There is sound in only {100 * active:.0f} % of the frames")
    track = track_lips(video.path, seconds)
    times_s = np.arange(len(track.lips)) / track.rate_hz - delay_s
    track.lips[(times_s < 0.0) | (times_s > speech.duration_s)] = np.nan
    frames = int(np.isfinite(track.lips[:, 0]).sum() / track.rate_hz * FRAME_RATE_HZ)
    if frames < MIN_FRAMES:
        raise MediaError(f"A face and sound together last {frames / FRAME_RATE_HZ:.1f} s; 2 s are needed")
    spread = float(np.nanstd(track.lips[:, 0]))
    if spread < DEAD_OPENING:
        raise MediaError(f"The lips do not move: the opening varies by {spread:.4f} eye distances")
    return {
        "fps": track.rate_hz, "sound_delay_s": round(delay_s, 4),
        "openness": _rounded(track.lips[:, 0]), "width": _rounded(track.lips[:, 1]),
    }  # fmt: skip


def _stamp(path: Path, seconds: float) -> dict[str, Any]:
    status = path.stat()
    values = (str(path.resolve()), status.st_size, status.st_mtime_ns, seconds)
    return dict(zip(UNCHANGED, values, strict=True))


def _known_entries(folder: Path, videos: Sequence[Video], seconds: float) -> dict[str, dict[str, Any]]:
    """Return the entries of an earlier run in ``folder`` for videos that have not changed since.

    SettingsError if the folder has a ``lips.json`` that is not of this recipe.
    """
    path = folder / LIPS_FILE
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text("utf-8")).values()
        stamped = {tuple(entry[key] for key in UNCHANGED): entry for entry in known}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{path} was not written by this version of train lip_motion and would be replaced; choose another --out"
        ) from error
    found = {_name(video): stamped.get(tuple(_stamp(video.path, seconds).values())) for video in videos}
    identities = {_name(video): video.identity for video in videos}
    return {name: {**entry, "speaker": identities[name]} for name, entry in found.items() if entry is not None}


def _is_same(folder: Path, out: Path) -> bool:
    return folder.resolve() == out.resolve() and has_videos(folder)


def _name(video: Video) -> str:
    return f"{video.number:04d}_{video.path.stem}"


def _rounded(values: Float64Array) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 5) for value in values]
