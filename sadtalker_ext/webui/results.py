"""Earlier results: what lies in the folder, shown small, and what made each of them."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.webui.html import clock, jpeg_url, message

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.animate import Result

SHOWN = 18
THUMBNAIL_PX = 160


def recent(folder: Path, count: int = SHOWN) -> list[Path]:
    """The newest videos in the dated folders of ``folder``, the newest first."""
    try:
        found = [(path.stat().st_mtime, path) for path in folder.glob("*/*.mp4")]
    except OSError:
        return []
    return [path for _, path in sorted(found, reverse=True)[:count]]


def gallery_view(folder: Path) -> str:
    """HTML: a button with the first frame of each recent result."""
    cards = [card for path in recent(folder) if (card := _card(path, folder))]
    if not cards:
        return message("Your results will be shown here.")
    return f'<div class="st-gallery">{"".join(cards)}</div>'


def _card(path: Path, folder: Path) -> str:
    try:
        changed_s = path.stat().st_mtime
        picture = _thumbnail(path, changed_s)
    except (SadTalkerError, OSError):
        return ""
    name = path.relative_to(folder).as_posix()
    when = datetime.fromtimestamp(changed_s).astimezone().strftime("%Y-%m-%d %H:%M")
    return (
        f'<button type="button" class="st-result" data-name="{escape(name)}" title="{escape(name)}">'
        f'<img alt="{escape(path.stem)}" src="{picture}"><span>{when}</span></button>'
    )


@lru_cache(maxsize=4 * SHOWN)
def _thumbnail(path: Path, _changed_s: float) -> str:
    from sadtalker_ext.video.read import read_frames

    with closing(read_frames(path)) as frames:
        return jpeg_url(next(frames), THUMBNAIL_PX)


def result_named(name: str, folder: Path) -> Path | None:
    """The result of that name, None when there is none in the folder."""
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve()) and path.suffix == ".mp4" and path.is_file()
    except (OSError, ValueError):
        return None
    return path if inside else None


def details_view(path: Path, result: Result | None = None) -> str:
    """HTML: length, size and settings of a video, and what is worth knowing about it."""
    from sadtalker_ext.pipeline.result_metadata import read_record
    from sadtalker_ext.video.read import probe

    try:
        record, info = read_record(path), probe(path)
    except SadTalkerError as e:
        return message(str(e), "error")
    facts = f"{clock(info.duration_s or 0.0)} · {info.width_px} x {info.height_px} · {info.rate_hz:g} frames a second"
    if result is not None:
        facts += f" · made in {result.total_s:.1f} s ({result.realtime_factor:.1f} x real time)"
    changes = record.settings.changes()
    told = ", ".join(f"{name}: {value}" for name, value in changes.items()) or "all settings at their defaults"
    whole = escape(json.dumps(record.settings.to_mapping(), indent=1))
    notes = "".join(message(note) for note in (result.notes if result is not None else ()))
    return (
        f'<div class="st-details"><div>{escape(facts)}</div><div class="st-words">{escape(told)}</div>{notes}'
        f"<details><summary>{escape(path.name)}</summary><pre>{whole}</pre></details></div>"
    )
