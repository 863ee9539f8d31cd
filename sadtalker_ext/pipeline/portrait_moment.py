"""The moment of a video that is used as the portrait: chosen by the user, or the first frame that shows a face."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.setting_spec import AUTO_MOMENT

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.video.picture import Picture

SEARCH_RATE_HZ: Final = 5.0
"""Frames per second that are searched for a face."""
SEARCH_S: Final = 20.0
"""Beginning of the video that is searched; titles and fades take less."""
FADE_S: Final = 1.6
"""Longest wait after the first face for a fade to end."""
FADED: Final = 0.8
"""A frame darker than this part of the brightest one within :data:`FADE_S` belongs to a fade."""
SETTLED: Final = 0.95
"""Brightness, relative to that frame, at which the fade has ended."""
BRIGHT: Final = 0.5
"""Brightness, relative to the brightest frame, of the frame that is used if none shows a face."""


def read_portrait_picture(path: str | Path, limit_px: int, at: str = AUTO_MOMENT) -> Picture:
    """Read a portrait; of a video, the frame at the moment ``at``.

    at: seconds as text, or ``auto``: the first frame that shows a face, after a fade. MediaError if the file cannot be
    read or ends before that moment.
    """
    from sadtalker_ext.video.picture import read_picture

    if at != AUTO_MOMENT:
        return read_picture(path, limit_px, "portrait", float(at))
    picture = read_picture(path, limit_px, "portrait")
    if picture.at_s is None:
        return picture
    found_s, has_face = first_face_s(Path(path))
    if found_s == 0:
        return picture
    chosen = read_picture(path, limit_px, "portrait", found_s)
    reason = "the first that shows a face" if has_face else "because the beginning is dark"
    notes = [note.removesuffix(".") + f", {reason}." if " is a video; " in note else note for note in chosen.notes]
    return replace(chosen, notes=tuple(notes))


def first_face_s(path: Path) -> tuple[float, bool]:
    """Return the time of the first frame of a video that shows a face, and whether there is one.

    Without a face, the first frame that is not dark.
    """
    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.video.read import read_frames

    levels: list[float] = []
    with closing(read_frames(path, SEARCH_RATE_HZ, "portrait")) as video:
        frames = _with_brightness(islice(video, round(SEARCH_S * SEARCH_RATE_HZ)), levels)
        for number, face in enumerate(track_faces(frames)):
            if face is not None:
                list(islice(frames, max(0, number + _fade_frames() - len(levels))))
                return _settled(levels, number) / SEARCH_RATE_HZ, True
    bright = next((number for number, level in enumerate(levels) if level >= BRIGHT * max(levels)), 0)
    return bright / SEARCH_RATE_HZ, False


def _fade_frames() -> int:
    return round(FADE_S * SEARCH_RATE_HZ) + 1


def _with_brightness(frames: Iterator[Frame], levels: list[float]) -> Iterator[Frame]:
    """Pass frames on and append the mean brightness of each to ``levels``."""
    for frame in frames:
        levels.append(float(frame[::8, ::8].mean()))
        yield frame


def _settled(levels: list[float], first: int) -> int:
    """Return the number of the first frame from ``first`` on at which a fade has ended; ``first`` without a fade."""
    seen = levels[first : first + _fade_frames()]
    if seen[0] >= FADED * max(seen):
        return first
    return first + next(number for number, level in enumerate(seen) if level >= SETTLED * max(seen))
