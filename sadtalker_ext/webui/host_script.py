"""The script that makes a video of every image of a generation, in txt2img and img2img."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import gradio as gr

from sadtalker_ext.engines.registry import setting_spec
from sadtalker_ext.errors import FaceError, SadTalkerError
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.job import Job, JobRequest
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.pipeline.output import dated_output
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui import host_grid
from sadtalker_ext.webui.compat_inputs import audio_input
from sadtalker_ext.webui.event_guard import guarded_events
from sadtalker_ext.webui.host_axes import axis_values, describe_axes
from sadtalker_ext.webui.host_modules import find
from sadtalker_ext.webui.host_options import api_folders, results_folder, webui_hosts
from sadtalker_ext.webui.host_state import clear_text
from sadtalker_ext.webui.host_widgets import checkbox_section
from sadtalker_ext.webui.html import message
from sadtalker_ext.webui.page_words import page_text
from sadtalker_ext.webui.setting_widgets import COMMON, make_widget, read_settings
from sadtalker_ext.webui.uploads import display_names, received_file

log = logging.getLogger(__name__)
SCRIPT_SETTINGS: Final = ("engine", *COMMON)
"""Settings of the script."""
MADE: Final = "SadTalker made {}"
"""Comment on a generation, to which the page adds a button that plays the video (javascript/navigation.js)."""
OTHER_IMAGE: Final = (
    "Describe one face seen from the front in the prompt, or open the image in the SadTalker tab and draw a box around "
    "its face."
)
"""Remedy for a generated image without a usable face."""
SCRIPT: Final[Any] = find("scripts", "Script") or object
"""Base class of the webui's scripts; a webui without it does not load the script."""


class AnimateResults(SCRIPT):  # type: ignore[misc] # the webui's class
    """Script that makes a video of every image of a generation."""

    queue: JobQueue

    def title(self) -> str:
        """Return the name of the script."""
        return "SadTalker: animate each result"

    def show(self, is_img2img: bool) -> Any:  # noqa: ANN401 - the webui's own
        """Show the script always, in txt2img and img2img; a webui without such scripts does not show it."""
        return find("scripts", "AlwaysVisible") or False

    def ui(self, is_img2img: bool) -> list[Any]:
        """Return a checkbox that enables the script, a voice, and the most common settings."""
        try:
            with guarded_events(webui_hosts), checkbox_section(self.title(), self.elem_id("enable")) as enabled:
                voice = audio_input(self.elem_id("voice"))
                settings = [make_widget(setting_spec(name), elem_id=self.elem_id(name)) for name in SCRIPT_SETTINGS]
        except Exception as e:  # an error of the extension must not keep the webui from starting
            log.exception("The SadTalker script could not be built")
            gr.HTML(message(f"The SadTalker script could not be built: {e}. The log has the details.", "error"))
            return []
        return [enabled, voice, *settings]

    def before_process(self, p: Any, *_values: Any) -> None:  # noqa: ANN401
        """Note a generation that begins."""
        host_grid.begin(p)

    def postprocess(self, p: Any, processed: Any, enabled: bool = False, *values: Any) -> None:  # noqa: ANN401
        """Animate the images; the webui calls this while its queue is held."""
        if not enabled:
            return
        if host_grid.is_grid(p):
            _comment(processed, host_grid.cell_comments(p))
            return
        comments: list[str] = []
        try:
            comments.extend(self._videos(p, processed, *values))  # an error keeps the comments before it
        except SadTalkerError as e:
            comments.append(page_text(str(e)))
        except Exception as e:  # the images are finished and must not be lost
            log.exception("SadTalker cannot animate the results")
            comments.append(f"SadTalker cannot animate the results: {e}. The log has the details.")
        host_grid.add_comments(p, comments)
        _comment(processed, comments)

    def _videos(self, p: Any, processed: Any, uploaded: Any = None, *chosen: Any) -> Iterator[str]:  # noqa: ANN401
        voice = received_file(uploaded, api_folders())
        if voice is None:
            raise SadTalkerError("SadTalker needs a voice; choose one in its section of this page")
        settings = read_settings({**dict(zip(SCRIPT_SETTINGS, chosen, strict=False)), **axis_values(p)})
        for comment in animate_all(self.queue, processed, voice, settings):
            yield comment + describe_axes(p)


def _comment(processed: Any, comments: list[str]) -> None:  # noqa: ANN401 - the webui's result
    """Add comments to those that the webui shows below the images."""
    processed.comments = "\n".join(filter(None, [getattr(processed, "comments", ""), *comments]))


def _result_name(path: Path) -> str:
    """Return the path of a result relative to the folder of results, by which the page finds it."""
    folder = results_folder()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def animate_all(queue: JobQueue, processed: Any, voice: Path, settings: Settings) -> Iterator[str]:  # noqa: ANN401
    """Make a video of each image of a generation except the grid, while the webui's queue is held.

    Yields a sentence about each; an image without a usable face does not stop the others.
    """
    scratch = Path(tempfile.mkdtemp(prefix="sadtalker_script_"))
    images = processed.images[getattr(processed, "index_of_first_image", 0) :]
    seeds = getattr(processed, "all_seeds", None) or [0]
    try:
        for index, image in enumerate(images):
            portrait = scratch / f"{index}.png"
            image.convert("RGB").save(portrait)
            output = dated_output(results_folder(), f"{voice.stem[:20]}_{seeds[min(index, len(seeds) - 1)]}")
            inputs = Inputs(portrait, voice)
            names = {**display_names(inputs), portrait: f"{index + 1}"}
            try:
                made = queue.run_now(Job(JobRequest(inputs, output, settings, names=names))).path
                yield MADE.format(_result_name(made))
            except FaceError as e:
                yield _face_problem(e.describe(names), f" in image {index + 1}" if len(images) > 1 else "")
            except SadTalkerError as e:
                raise SadTalkerError(e.describe(names)) from e
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        clear_text()


def _face_problem(text: str, where: str) -> str:
    """Return the message of a FaceError with the remedy for generated images, on which no box can be drawn.

    where: the image in words, or nothing if there is only one.
    """
    problem = re.split(r"[.:;](?:\s|$)", page_text(text), maxsplit=1)[0]
    return f"{problem}{where}. {OTHER_IMAGE}"
