"""HTML fragments of the page; every text is escaped here."""

from __future__ import annotations

import base64
import io
import math
import re
import time
from html import escape
from typing import TYPE_CHECKING, Final

from sadtalker_ext.pipeline.job import FAILED, STOPPED, WAITING
from sadtalker_ext.webui.page_words import page_text

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Image
    from sadtalker_ext.pipeline.job import Job
    from sadtalker_ext.pipeline.progress import Progress

NO_BREAK: Final = "\N{NO-BREAK SPACE}"
PREVIEW_PX: Final = 640
JPEG_QUALITY: Final = 80
STOPPING: Final = "Stopping ..."
START_S: Final = 3.0
"""A job that has waited longer, although none is ahead, waits for the host, which may be generating a picture."""
GREETING: Final = "Choose a portrait and a voice, then press Generate. The video appears here."
STAGE_TEXTS: Final = {
    "": "Starting",
    "text": "Reading the text aloud",
    "engine": "Loading the engine",
    "portrait": "Reading the portrait",
    "voice": "Analysing the voice",
    "reference": "Analysing the reference video",
    "motion": "Predicting motion",
    "mesh": "Building the 3D model",
    "frames": "Rendering frames",
}


def message(text: str, kind: str = "note") -> str:
    """Return a message; ``kind`` is note, warning or error, and screen readers interrupt for an error."""
    role = "alert" if kind == "error" else "status"
    return f'<div class="st-message st-{kind}" role="{role}">{escape(text)}</div>'


def problem(text: str) -> str:
    """Return a message that says why there is no video, above an empty frame."""
    return message(text, "error") + placeholder(GREETING)


def placeholder(text: str) -> str:
    """Return an empty frame in the place of the video, with a text."""
    return f'<div class="st-empty">{escape(text)}</div>'


def format_duration(seconds: float) -> str:
    """Return a duration as m:ss."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{rest:02d}"


def format_length(seconds: float) -> str:
    """Return the length of a sound or video as m:ss like players, which drop the fraction of a second."""
    return format_duration(math.floor(seconds))


def with_unit(number: str, unit: str) -> str:
    """Return a number with its unit, which stay on one line."""
    return f"{number}{NO_BREAK}{unit}"


def keep_units(text: str) -> str:
    """Return a text in which sizes such as 1 GB stay on one line."""
    return re.sub(r"(?<=\d) (?=[GMk]B\b)", NO_BREAK, text)


def job_view(job: Job, ahead: int = 0) -> str:
    """Return the progress bar with remaining time and preview of a job that is not done, or the reason why it ended.

    ahead: number of jobs that run before it.
    """
    if job.state == FAILED:
        return problem(page_text(job.error))
    if job.state == STOPPED:
        return message(page_text(job.error)) + placeholder(GREETING)
    progress = job.progress
    if job.state == WAITING:
        return progress_bar(_waiting_text(job, ahead), 0.0, placeholder(""))
    if job.stop_requested.is_set():
        return progress_bar(STOPPING, 0.0, placeholder(""))
    fraction = progress.done / progress.total if progress.total else 0.0
    percent = f", {fraction:.0%}" if progress.done and progress.total else ""
    goes_on = 0 < progress.done < progress.total and progress.frames_per_s
    left = f", {format_duration(progress.left_s)} left" if goes_on else ""
    text = STAGE_TEXTS.get(progress.stage, progress.stage) + (percent + left or " ...")
    return progress_bar(text, fraction, preview(progress.frame))


def _waiting_text(job: Job, ahead: int) -> str:
    if ahead < 1:
        waits = time.time() - job.created_s > START_S
        return "Waiting until the server is free ..." if waits else f"{STAGE_TEXTS['']} ..."
    return "Waiting: 1 video is ahead ..." if ahead == 1 else f"Waiting: {ahead} videos are ahead ..."


def stage_text(progress: Progress) -> str:
    """Return the current stage and frame as text."""
    text = STAGE_TEXTS.get(progress.stage, progress.stage)
    if progress.total and progress.done:
        return f"{text}: {progress.done} of {progress.total}"
    return text + " ..."


def progress_bar(text: str, fraction: float, picture: str = "") -> str:
    """Return a progress bar; ``fraction`` is the finished part of the work, 0 to 1.

    The page requests the next state as long as a bar is shown. ``data-busy`` differs between any two answers, so that
    the page can tell a new answer from the one it shows.
    """
    percent = round(100 * min(1.0, max(0.0, fraction)))
    bar = (
        f'<div class="st-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><div style="width:{percent}%"></div></div>'
    )
    stamp = f'data-busy="{time.monotonic_ns()}" data-stopping="{STOPPING}"'
    return f'<div class="st-progress" {stamp}>{bar}<div class="st-text">{escape(text)}</div>{picture}</div>'


def preview(frame: Image | None) -> str:
    """Return a frame (H, W, 3) as a picture; an empty frame if there is none."""
    if frame is None:
        return placeholder("")
    return f'<img class="st-preview" alt="Latest frame" src="{jpeg_url(frame, PREVIEW_PX)}">'


def jpeg_url(frame: Image, max_px: int) -> str:
    """Return a picture (H, W, 3), scaled down to at most ``max_px`` on a side, as a ``data:`` URL."""
    from PIL import Image as PillowImage

    image = PillowImage.fromarray(frame)
    image.thumbnail((max_px, max_px))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
