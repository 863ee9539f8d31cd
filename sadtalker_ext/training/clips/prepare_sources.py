"""Videos of talking people on disk: their identities and the clips that are held out for testing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sadtalker_ext.errors import MediaError

VIDEO_EXTENSIONS: Final = frozenset(
    {".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"}
)
_VOXCELEB_PERSON: Final = re.compile(r"id\d{5}")
"""VoxCeleb folder layout: id10270/VIDEO/00001.mp4."""
_NUMBERED: Final = re.compile(r"(.+?)[_-]\d{3,}")
"""Numbered parts of a recording: anna_001.mp4, anna_002.mp4."""
_HDTF: Final = re.compile(r"((?:RD|WDA|WRA)_.+?)_\d{3,}")
"""HDTF file names, which name the person in any folder: WDA_BarackObama_000.mp4, RD_Radio31_000.mp4."""
TEST_EVERY: Final = 8
"""One of this many clips of a long video, or of this many short videos of a person, is held out."""
MIN_VIDEOS_TO_HOLD_OUT: Final = 3
"""A person with fewer videos has the last clip of each video held out instead of a whole video."""
MAX_NAME_LENGTH: Final = 40


@dataclass(frozen=True)
class Video:
    """A video of one person.

    number: index in the list of all videos. place, siblings: index in and number of the videos of the same identity.
    """

    path: Path
    identity: str
    number: int
    place: int
    siblings: int


def find_videos(sources: Sequence[Path]) -> list[Video]:
    """Return the videos in files and folders, sorted by path. Raises MediaError if there are none."""
    found: dict[Path, str] = {}
    for source in sources:
        if not source.exists():
            raise MediaError(f"{source} does not exist. Use a video or a folder of videos.")
        files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if is_video(path))
        for path in files:
            found.setdefault(path, identity_of(path, source))
    if not found:
        folders = ", ".join(map(str, sources))
        raise MediaError(f"There are no videos in {folders}. Use a folder with .mp4 or other videos.")
    order = sorted(found)
    groups: dict[str, list[Path]] = {}
    for path in order:
        groups.setdefault(found[path], []).append(path)
    return [
        Video(path, found[path], number, groups[found[path]].index(path), len(groups[found[path]]))
        for number, path in enumerate(order)
    ]


def has_videos(folder: Path) -> bool:
    """Return whether there is a video in a folder or below it."""
    return any(is_video(path) for path in folder.rglob("*"))


def identity_of(path: Path, source: Path) -> str:
    """Return the identity of a video, the first that is found: a folder such as id10270, the name before _000 of HDTF,
    the first folder below ``source``, the name before a number of three digits, the file name.
    """
    for part in path.parts[:-1]:
        if _VOXCELEB_PERSON.fullmatch(part):
            return part
    inside = path.relative_to(source).parts[:-1] if source.is_dir() else ()
    numbered = _HDTF.fullmatch(path.stem) or (None if inside else _NUMBERED.fullmatch(path.stem))
    if numbered:
        return _plain_name(numbered[1])
    return _plain_name(inside[0] if inside else path.stem)


def held_out(video: Video, clip: int, clips: int) -> bool:
    """Return whether a clip is for testing: at the end of a long video, or in one of several short videos of a person.

    clip: index of the clip in the video. clips: number of clips of the video.
    """
    if clips >= TEST_EVERY:
        return clip >= clips - clips // TEST_EVERY
    if video.siblings >= MIN_VIDEOS_TO_HOLD_OUT:
        return video.place % TEST_EVERY == min(TEST_EVERY, video.siblings) - 1
    return clips > 1 and clip == clips - 1


def is_video(path: Path) -> bool:
    """Return whether a path is a file with the ending of a video."""
    return path.suffix.lower() in VIDEO_EXTENSIONS and path.is_file()


def _plain_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:MAX_NAME_LENGTH] or "somebody"
