"""Earlier results: the gallery, and the details of one video."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.registry import setting_specs
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.webui.html import format_duration, jpeg_url, message

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.animate import Result
    from sadtalker_ext.settings import Settings

GALLERY_SIZE: Final = 18
"""Results in the gallery."""
THUMBNAIL_PX: Final = 160


def recent_results(folder: Path, count: int = GALLERY_SIZE) -> list[Path]:
    """Return up to ``count`` of the newest videos in the dated subfolders of ``folder``, the newest first."""
    try:
        found = [(path.stat().st_mtime, path) for path in folder.glob("*/*.mp4")]
    except OSError:
        return []
    return [path for _, path in sorted(found, reverse=True)[:count]]


def gallery_view(folder: Path) -> str:
    """Return a button with the first frame of each recent result as HTML."""
    cards = [card for path in recent_results(folder) if (card := _card(path, folder))]
    if not cards:
        return message("Results appear here.")
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


@lru_cache(maxsize=4 * GALLERY_SIZE)
def _thumbnail(path: Path, _changed_s: float) -> str:
    from sadtalker_ext.video.read import read_frames

    with closing(read_frames(path)) as frames:
        return jpeg_url(next(frames), THUMBNAIL_PX)


def find_result(name: str, folder: Path) -> Path | None:
    """Return the result with this path relative to ``folder``, or None if there is no such video in the folder."""
    try:
        path = (folder / name).resolve()
        is_result = path.is_relative_to(folder.resolve()) and path.suffix == ".mp4" and path.is_file()
    except (OSError, ValueError):
        return None
    return path if is_result else None


def details_view(path: Path, result: Result | None = None) -> str:
    """Return duration, size and settings of a video as HTML, and the notes and speed of the job that made it."""
    from sadtalker_ext.pipeline.result_metadata import read_record
    from sadtalker_ext.video.read import probe

    try:
        record, info = read_record(path), probe(path)
    except SadTalkerError as e:
        return message(e.describe({path: path.name}), "error")
    duration, size = format_duration(info.duration_s or 0.0), f"{info.width_px} x {info.height_px}"
    facts = f"{duration} · {size} · {info.rate_hz:g} frames per second"
    if result is not None:
        facts += f" · made in {result.total_s:.1f} s ({result.realtime_factor:.1f} x real time)"
    changes = ", ".join(_changed_settings(record.settings)) or "all settings at their defaults"
    all_settings = escape(json.dumps(record.settings.to_mapping(), indent=1))
    notes = "".join(message(note) for note in (result.notes if result is not None else ()))
    return (
        f'<div class="st-details"><div>{escape(facts)}</div><div class="st-text">{escape(changes)}</div>{notes}'
        f"<details><summary>{escape(path.name)}</summary><pre>{all_settings}</pre></details></div>"
    )


def _changed_settings(settings: Settings) -> list[str]:
    changes = settings.changes()
    return [f"{spec.label}: {_format_value(changes[spec.name])}" for spec in setting_specs() if spec.name in changes]


def _format_value(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
