"""Videos of talking people on disk, whose they are, and which of their clips are held out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sadtalker_ext.errors import MediaError

ENDINGS: Final = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"})
_VOXCELEB_PERSON: Final = re.compile(r"id\d{5}")
"""VoxCeleb: id10270/VIDEO/00001.mp4."""
_NUMBERED: Final = re.compile(r"(.+?)[_-]\d{3,}")
"""HDTF: WDA_BarackObama_000.mp4, WDA_BarackObama_001.mp4, RD_Radio31_000.mp4."""
TEST_EVERY: Final = 8
FEW: Final = 3


@dataclass(frozen=True)
class Video:
    """number: in the whole list. place, siblings: which of how many videos of its identity it is."""

    path: Path
    identity: str
    number: int
    place: int
    siblings: int


def find_videos(sources: Sequence[Path]) -> list[Video]:
    """The videos among files and folders, sorted, with the identity that their folders or names tell."""
    found: dict[Path, str] = {}
    for source in sources:
        if not source.exists():
            raise MediaError(f"{source} does not exist: name a video or a folder of videos")
        files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if _is_video(path))
        for path in files:
            found.setdefault(path, identity_of(path, source))
    if not found:
        places = ", ".join(map(str, sources))
        raise MediaError(f"There are no videos in {places}: name a folder with .mp4 or other videos")
    order = sorted(found)
    groups: dict[str, list[Path]] = {}
    for path in order:
        groups.setdefault(found[path], []).append(path)
    return [
        Video(path, found[path], number, groups[found[path]].index(path), len(groups[found[path]]))
        for number, path in enumerate(order)
    ]


def identity_of(path: Path, source: Path) -> str:
    """Who is in a video: a folder such as id10270; a name before _000; the folder it lies in; else its own name."""
    for part in path.parts[:-1]:
        if _VOXCELEB_PERSON.fullmatch(part):
            return part
    inside = path.relative_to(source).parts[:-1] if source.is_dir() else ()
    numbered = _NUMBERED.fullmatch(path.stem)
    if numbered:
        return _plain(numbered[1])
    return _plain(inside[0] if inside else path.stem)


def held_out(video: Video, clip: int, clips: int) -> bool:
    """Whether a clip is for testing: the end of a long video, or one of several short videos of a person."""
    if clips >= TEST_EVERY:
        return clip >= clips - clips // TEST_EVERY
    if video.siblings >= FEW:
        return video.place % TEST_EVERY == min(TEST_EVERY, video.siblings) - 1
    return clips > 1 and clip == clips - 1


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:40] or "somebody"
