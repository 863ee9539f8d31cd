"""Pieces of HTML: every text that did not come from us is escaped here."""

from __future__ import annotations

import base64
import io
import time
from html import escape
from typing import TYPE_CHECKING

from sadtalker_ext.pipeline.job import FAILED, STOPPED, WAITING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sadtalker_ext.pipeline.job import Job
    from sadtalker_ext.pipeline.progress import Progress

PREVIEW_PX = 384
JPEG_QUALITY = 80
STOPPING = "Stopping ..."
STAGES = {
    "": "Starting",
    "engine": "Opening the engine",
    "portrait": "Reading the portrait",
    "voice": "Listening to the voice",
    "reference": "Watching the reference",
    "motion": "Working out the movement",
    "frames": "Drawing frames",
}


def message(text: str, kind: str = "note") -> str:
    """A sentence; kind is note or error, which is read out by screen readers."""
    role = "alert" if kind == "error" else "status"
    return f'<div class="st-message st-{kind}" role="{role}">{escape(text)}</div>'


def clock(seconds: float) -> str:
    """A length of time as m:ss."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{rest:02d}"


def job_view(job: Job) -> str:
    """A job that is not done: its bar, how long it takes and the frame just drawn; or why it ended."""
    if job.state == FAILED:
        return message(job.error, "error")
    if job.state == STOPPED:
        return message(job.error or "Stopped; nothing was kept")
    progress = job.progress
    if job.state == WAITING:
        return busy("Waiting for its turn", 0.0)
    if job.stop_requested.is_set():
        return busy(STOPPING, 0.0)
    share = progress.done / progress.total if progress.total else 0.0
    left = f", {clock(progress.left_s)} left" if progress.done else ""
    return busy(stage_words(progress) + left, share, preview(progress.frame))


def stage_words(progress: Progress) -> str:
    """What is being done, in words."""
    words = STAGES.get(progress.stage, progress.stage)
    if progress.total and progress.done:
        return f"{words}: {progress.done} of {progress.total}"
    return words + " ..."


def busy(words: str, share: float, picture: str = "") -> str:
    """A progress bar; ``share`` of the work, 0 to 1, is done. The page looks again while this is shown.

    Each bears a stamp of its own, by which the page tells a new answer from the one that it shows.
    """
    percent = round(100 * min(1.0, max(0.0, share)))
    bar = (
        f'<div class="st-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><div style="width:{percent}%"></div></div>'
    )
    stamp = f'data-busy="{time.monotonic_ns()}" data-stopping="{STOPPING}"'
    return f'<div class="st-progress" {stamp}>{bar}<div class="st-words">{escape(words)}</div>{picture}</div>'


def preview(frame: NDArray[np.uint8] | None) -> str:
    """A small picture of a frame (H, W, 3)."""
    if frame is None:
        return ""
    return f'<img class="st-preview" alt="The frame just drawn" src="{jpeg_url(frame, PREVIEW_PX)}">'


def jpeg_url(frame: NDArray[np.uint8], most_px: int) -> str:
    """A picture (H, W, 3), made no larger than ``most_px`` on a side, as a data: URL."""
    from PIL import Image

    image = Image.fromarray(frame)
    image.thumbnail((most_px, most_px))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
