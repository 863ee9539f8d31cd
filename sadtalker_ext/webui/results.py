"""Earlier results: the gallery, the details of one video, and the comparison of two."""

from __future__ import annotations

import re
from contextlib import closing, suppress
from datetime import date, datetime
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from sadtalker_ext.engines.registry import find_engine, setting_specs
from sadtalker_ext.errors import MediaError, SadTalkerError
from sadtalker_ext.pipeline.mesh_files import GLB, MeshFiles
from sadtalker_ext.webui.html import format_length, jpeg_url, message
from sadtalker_ext.webui.page_words import page_text
from sadtalker_ext.webui.setting_choices import LABELS, SHOWN, to_label

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.animate import Result
    from sadtalker_ext.settings import Settings

GALLERY_SIZE: Final = 18
"""Results on one page of the gallery."""
THUMBNAIL_PX: Final = 320
_TIME_OF_DAY: Final = re.compile(r"_\d{6}_\d{3}(_\d+)?$")
"""End of the name of a result, which the gallery shows as date and time."""


class Thumbnail(NamedTuple):
    """What the gallery shows of a video: its first frame as a ``data:`` URL and its length in seconds."""

    picture: str
    duration_s: float


def recent_results(folder: Path) -> list[Path]:
    """Return the videos in the dated subfolders of ``folder``, the newest first."""
    try:
        found = [(path.stat().st_mtime, path) for path in folder.glob("*/*.mp4")]
    except OSError:
        return []
    return [path for _, path in sorted(found, reverse=True)]


def gallery_view(folder: Path, deletable: bool = False, page: int = 1) -> str:
    """Return a page of the gallery as HTML: a card for each result, and buttons to the pages before and after.

    A card has the first frame, length, name and time of a video, and its buttons. page: number from 1; the nearest page
    is shown in place of one that does not exist.
    """
    results = recent_results(folder)
    pages = max(1, -(-len(results) // GALLERY_SIZE))
    page = min(max(1, page), pages)
    start = (page - 1) * GALLERY_SIZE
    shown = results[start : start + GALLERY_SIZE]
    cards = "".join(_card(path, folder, deletable) for path in shown)
    if not cards and pages == 1:
        return ""
    browse = _page_buttons(page, pages, f"{start + 1} to {start + len(shown)} of {len(results)}") if pages > 1 else ""
    return f'<h2 class="st-heading">Earlier results</h2><ul class="st-gallery">{cards}</ul>{browse}'


def page_of_result(path: Path, folder: Path) -> int:
    """Return the page of the gallery, from 1, on which a result is."""
    results = recent_results(folder)
    return results.index(path) // GALLERY_SIZE + 1 if path in results else 1


def _page_buttons(page: int, pages: int, position: str) -> str:
    """Return buttons to newer and older results, and which ones the page shows."""
    buttons = [
        f'<button type="button" class="st-button" data-result="page" data-name="{target}" data-page="{title}"'
        f"{'' if 1 <= target <= pages else ' disabled'}>{title}</button>"
        for title, target in (("Newer", page - 1), ("Older", page + 1))
    ]
    return (
        f'<nav class="st-row" aria-label="Pages of earlier results">{buttons[0]}'
        f'<span class="st-text" role="status">{position}</span>{buttons[1]}</nav>'
    )


def _card(path: Path, folder: Path, deletable: bool) -> str:
    try:
        changed_s = path.stat().st_mtime
        thumbnail = _thumbnail(path, changed_s)
    except (SadTalkerError, OSError):
        return ""
    name, title = escape(path.relative_to(folder).as_posix()), escape(caption(path))
    delete = f'<button type="button" class="st-small" data-result="delete" aria-label="Delete {title}">Delete</button>'
    return (
        f'<li class="st-card" data-name="{name}">'
        f'<button type="button" class="st-result" data-result="show" title="{title}">'
        f'<img alt="" src="{thumbnail.picture}"><span class="st-length">{format_length(thumbnail.duration_s)}</span>'
        f'<span class="st-caption">{title}</span><span class="st-when">{_when(changed_s)}</span></button>'
        f'<div class="st-row"><button type="button" class="st-small" data-result="compare" '
        f'aria-label="Compare {title} with the shown result">Compare</button>{delete if deletable else ""}</div></li>'
    )


def caption(path: Path) -> str:
    """Return the name of a result without the time in it."""
    return _TIME_OF_DAY.sub("", path.stem).replace("_", " ") or path.stem


def _when(changed_s: float) -> str:
    when = datetime.fromtimestamp(changed_s).astimezone()
    return when.strftime("%H:%M" if when.date() == date.today() else "%Y-%m-%d %H:%M")


@lru_cache(maxsize=4 * GALLERY_SIZE)
def _thumbnail(path: Path, _changed_s: float) -> Thumbnail:
    from sadtalker_ext.video.read import probe, read_frames

    with closing(read_frames(path)) as frames:
        return Thumbnail(jpeg_url(next(frames), THUMBNAIL_PX), probe(path).duration_s or 0.0)


def find_result(name: str, folder: Path) -> Path | None:
    """Return the result with this path relative to ``folder``, or None if there is no such video in the folder."""
    try:
        path = (folder / name).resolve()
        is_result = path.is_relative_to(folder.resolve()) and path.suffix == ".mp4" and path.is_file()
    except (OSError, ValueError):
        return None
    return path if is_result else None


def delete_result(name: str, folder: Path) -> str:
    """Delete a result with its 3D model, and an empty folder of its day; return its caption. MediaError if it fails."""
    path = find_result(name, folder)
    if path is None:
        raise MediaError("This result no longer exists.")
    model = MeshFiles(path.with_suffix(GLB))
    try:
        path.unlink()
        for file in (model.glb, model.wav):
            file.unlink(missing_ok=True)
    except OSError as e:
        text = f"The result {path.name} could not be deleted ({e.strerror}); close programs that use it."
        raise MediaError(text) from e
    if path.parent != folder.resolve():
        with suppress(OSError):
            path.parent.rmdir()
    return caption(path)


def details_view(path: Path, result: Result | None = None) -> str:
    """Return duration, size and settings of a video as HTML, and the notes and duration of the job that made it."""
    from sadtalker_ext.pipeline.result_metadata import read_record
    from sadtalker_ext.video.read import probe

    try:
        record, info = read_record(path), probe(path)
    except SadTalkerError as e:
        return message(page_text(e.describe({path: path.name})), "error")
    duration, size = format_length(info.duration_s or 0.0), f"{info.width_px} x {info.height_px}"
    facts = f"{duration} · {size} · {info.rate_hz:g} frames per second"
    made = f", made in {max(1, round(result.total_s))} s" if result is not None else ""
    changes = ", ".join(_changed_settings(record.settings)) or "Default settings"
    notes = "".join(message(page_text(note), "warning") for note in (result.notes if result is not None else ()))
    return (
        f'<div class="st-details">{notes}<div>{escape(facts)}</div>'
        f'<div class="st-text">{escape(path.name + made)}</div>'
        f'<div class="st-text">{escape(changes)}</div>'
        f"<details><summary>All settings</summary>{_setting_table(record.settings)}</details></div>"
    )


def _setting_table(settings: Settings) -> str:
    """Return the settings that the engine of a result supports as an HTML table."""
    rows = "".join(
        f"<tr><th scope=row>{escape(spec.label)}</th><td>{escape(_format_value(spec.name, settings))}</td></tr>"
        for spec in setting_specs()
        if spec.supported_by(settings.engine)
    )
    return f'<table class="st-files"><tbody>{rows}</tbody></table>'


def comparison_view(first: Path, second: Path) -> str:
    """Return the settings in which two results differ as an HTML table."""
    from sadtalker_ext.pipeline.result_metadata import read_record

    try:
        left, right = (read_record(path).settings for path in (first, second))
    except SadTalkerError as e:
        return message(page_text(e.describe({path: path.name for path in (first, second)})), "error")
    a, b = left.to_mapping(), right.to_mapping()
    rows = "".join(
        f"<tr><th scope=row>{escape(spec.label)}</th><td>{escape(_format_value(spec.name, left))}</td>"
        f"<td>{escape(_format_value(spec.name, right))}</td></tr>"
        for spec in setting_specs()
        if a[spec.name] != b[spec.name]
    )
    if rows:
        heads = "".join(f"<th scope=col>{escape(text)}</th>" for text in ("Setting", "Result", "Compared with"))
        table = f'<table class="st-files"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    else:
        table = "<div>Both videos were made with the same settings.</div>"
    return (
        f'<div class="st-details">{table}<div class="st-row">'
        '<button type="button" class="st-button" data-compare="play">Play both</button>'
        '<button type="button" class="st-button" data-compare="close">Close the comparison</button></div></div>'
    )


def _changed_settings(settings: Settings) -> list[str]:
    changes = settings.changes()
    return [f"{spec.label}: {_format_value(spec.name, settings)}" for spec in setting_specs() if spec.name in changes]


def _format_value(name: str, settings: Settings) -> str:
    """Return the value of a setting as the page shows it."""
    value = settings.to_mapping()[name]
    if name == "engine":
        return find_engine(settings.engine).label.partition(":")[0]
    if isinstance(value, bool):
        return "on" if value else "off"
    shown = str(to_label(name, value, settings.engine))
    shown = {**LABELS, **SHOWN}.get(name, {}).get(shown, shown)
    return shown or "off"
